"""What ComfyUI finds at the root of a clone in its folder custom_nodes: the nodes, and the core that they need.

The core is loaded under its own name from ./remix; `sys.path` stays as it is, because `custom_nodes` here would
hide ComfyUI's namespace of that name.
"""

import importlib.util
import sys
from pathlib import Path


def _load_core() -> None:
    here = Path(__file__).resolve().parent / "remix" / "__init__.py"
    loaded = sys.modules.get("remix")
    if loaded is not None:
        found = getattr(loaded, "__file__", None)
        if found is None or Path(found).resolve() != here:
            raise ImportError(
                f"Remix Toolkit: another package called 'remix' is loaded already, from {found or loaded!r}; "
                f"remove that one, or this clone, {here.parents[1]}"
            )
        return
    spec = importlib.util.spec_from_file_location("remix", here, submodule_search_locations=[str(here.parent)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["remix"] = core = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(core)
    except BaseException:
        del sys.modules["remix"]
        raise


# pytest imports this file too, as the package that the tests lie in: there is no host to work for.
if __package__ and "folder_paths" in sys.modules:
    _load_core()
    from .custom_nodes import comfy_entrypoint  # noqa: F401

    WEB_DIRECTORY = "./web"
