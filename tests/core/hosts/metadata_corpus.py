"""The texts that tools write, and what they mean: each tool's own layout, with the values of one picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

PROMPT, NEGATIVE = "a fox (in snow:1.2)", "blurry"
COMMON = {"seed": 4711, "steps": 25, "cfg": 6.5, "width": 832, "height": 1216}


@dataclass(frozen=True)
class Case:
    """The texts of a file, the tool that wrote it, and the fields of its first pass."""

    tool: str
    texts: dict[str, str]
    fields: dict[str, Any] = field(default_factory=dict)
    loras: tuple[tuple[str, float], ...] = ()
    names: tuple[str, str | None] = ("dpmpp_2m", "karras")


def infotext(*more: str, prompt: str = PROMPT, sampler: str = "Sampler: DPM++ 2M, Schedule type: Karras") -> str:
    settings = ", ".join(["Steps: 25", sampler, "CFG scale: 6.5, Seed: 4711, Size: 832x1216", *more])
    return f"{prompt}\nNegative prompt: {NEGATIVE}\n{settings}"


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


GRAPH = {
    "3": node(
        "KSampler",
        **{"seed": 4711, "steps": 25, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0},
        **{"model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]},
    ),
    "4": node("CheckpointLoaderSimple", ckpt_name="fox.safetensors"),
    "5": node("EmptyLatentImage", width=832, height=1216, batch_size=1),
    "6": node("CLIPTextEncode", text=PROMPT, clip=["10", 1]),
    "7": node("CLIPTextEncode", text=NEGATIVE, clip=["10", 1]),
    "10": node(
        "LoraLoader",
        **{"lora_name": "ink.safetensors", "strength_model": 0.8, "strength_clip": 0.8},
        **{"model": ["4", 0], "clip": ["4", 1]},
    ),
}

CIVITAI_GRAPH = {
    "resource-stack": node("CheckpointLoaderSimple", ckpt_name="urn:air:sdxl:checkpoint:civitai:1@2"),
    "resource-stack-1": node(
        "LoraLoader",
        **{"lora_name": "urn:air:sdxl:lora:civitai:3@4", "strength_model": 0.8, "strength_clip": 1},
        **{"model": ["resource-stack", 0], "clip": ["resource-stack", 1]},
    ),
    "6": node("smZ CLIPTextEncode", text=PROMPT, clip=["resource-stack-1", 1]),
    "7": node("smZ CLIPTextEncode", text=NEGATIVE, clip=["resource-stack-1", 1]),
    "11": node(
        "KSampler",
        **{"seed": 4711, "steps": 25, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0},
        **{"model": ["resource-stack-1", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]},
    ),
    "5": node("EmptyLatentImage", width=832, height=1216, batch_size=1),
    "extra": {"airs": ["urn:air:sdxl:checkpoint:civitai:1@2"]},
    "extraMetadata": json.dumps(
        {"prompt": PROMPT, "negativePrompt": NEGATIVE, "steps": 25, "cfgScale": 6.5, "sampler": "DPM++ 2M Karras"}
    ),
}

SWARM = {
    **{"prompt": PROMPT, "negativeprompt": NEGATIVE, "model": "SDXL/fox", "seed": 4711, "steps": 25, "cfgscale": 6.5},
    **{"width": 832, "height": 1216, "sampler": "dpmpp_2m", "scheduler": "karras", "vae": "sdxl_vae"},
    **{"loras": ["ink"], "loraweights": ["0.8"], "clipstopatlayer": -2, "swarm_version": "0.9.5.0"},
    **{"controlnetmodel": "canny", "controlnetstrength": 0.6},
}
FOOOCUS = {
    **{"adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "fox.safetensors", "base_model_hash": "aeb7", "clip_skip": 2},
    **{"full_negative_prompt": [NEGATIVE], "full_prompt": [PROMPT, "winter"], "guidance_scale": 6.5},
    **{"lora_combined_1": "ink.safetensors : 0.8", "loras": [["ink.safetensors", 0.8, "ab"]], "vae": "Default (model)"},
    **{"metadata_scheme": "fooocus", "negative_prompt": NEGATIVE, "performance": "Speed", "prompt": PROMPT},
    **{"resolution": "(832, 1216)", "sampler": "dpmpp_2m", "scheduler": "karras", "seed": "4711", "sharpness": 2},
    **{"steps": 25, "styles": "['Fooocus V2']", "version": "Fooocus v2.5.5"},
}
RUINED = {
    **{"Prompt": PROMPT, "Negative": NEGATIVE, "steps": 25, "cfg": 6.5, "width": 832, "height": 1216, "seed": 4711},
    **{"sampler_name": "dpmpp_2m", "scheduler": "karras", "base_model_name": "fox.safetensors", "clip_skip": 2},
    **{"loras": [["4852", "0.8 - ink.safetensors"]], "denoise": None, "software": "RuinedFooocus"},
}
MRE = {
    **{"prompt": PROMPT, "negative_prompt": NEGATIVE, "styles": ["Default"], "real_prompt": [PROMPT], "seed": 4711},
    **{"width": 832, "height": 1216, "sampler": "dpmpp_2m", "scheduler": "karras", "steps": 25, "cfg": 6.5},
    **{"base_clip_skip": -2, "base_model": "fox.safetensors", "refiner_model": "None", "l1": "ink.safetensors"},
    **{"w1": 0.8, "l2": "None", "w2": 0.5, "freeu": False, "img2img": False, "software": "Fooocus-MRE v2.0.78.5"},
}
"""As modules/async_worker.py of Fooocus-MRE writes it."""
INVOKE = {
    **{"app_version": "5.6.0", "generation_mode": "sdxl_txt2img", "positive_prompt": PROMPT, "seed": 4711},
    **{"negative_prompt": NEGATIVE, "width": 832, "height": 1216, "cfg_scale": 6.5, "steps": 25},
    **{"scheduler": "dpmpp_2m_k", "clip_skip": 1, "model": {"key": "1f", "name": "fox", "base": "sdxl"}},
    **{"loras": [{"model": {"key": "2e", "name": "ink", "base": "sdxl"}, "weight": 0.8}]},
    **{"controlnets": [{"control_model": {"name": "canny"}, "control_weight": 0.6}], "vae": {"name": "sdxl_vae"}},
}
INVOKE_2 = {
    **{"model": "stable diffusion", "model_weights": "fox", "app_id": "invoke-ai/InvokeAI", "app_version": "2.3.5"},
    "image": {
        **{"prompt": [{"prompt": f"{PROMPT} [{NEGATIVE}]", "weight": 1.0}], "steps": 25, "cfg_scale": 6.5},
        **{"width": 832, "height": 1216, "seed": 4711, "sampler": "k_dpmpp_2", "type": "txt2img"},
    },
}
NOVELAI = {
    **{"prompt": PROMPT, "steps": 25, "height": 1216, "width": 832, "scale": 6.5, "seed": 4711, "uc": NEGATIVE},
    **{"sampler": "k_dpmpp_2m", "noise_schedule": "karras", "n_samples": 1, "request_type": "PromptGenerateRequest"},
}
NOVELAI_4 = {
    **NOVELAI,
    "v4_prompt": {
        "caption": {"base_caption": PROMPT, "char_captions": [{"char_caption": "a girl", "centers": [{"x": 0.5}]}]},
        "use_coords": False,
    },
    "v4_negative_prompt": {"caption": {"base_caption": NEGATIVE, "char_captions": []}},
}
NOVELAI_TEXTS = {
    **{"title": "AI generated image", "description": PROMPT, "software": "NovelAI"},
    **{"source": "NovelAI Diffusion V4 37442FCA", "comment": json.dumps(NOVELAI_4)},
}
DRAW_THINGS = {
    **{"c": PROMPT, "uc": NEGATIVE, "model": "fox.ckpt", "sampler": "DPM++ 2M Karras", "scale": 6.5, "seed": 4711},
    **{"size": "832x1216", "steps": 25, "strength": 1, "seed_mode": "Scale Alike"},
    "v2": {"loras": [{"file": "ink.ckpt", "weight": 0.8}], "controls": [{"file": "canny.ckpt", "weight": 0.6}]},
}
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description><dc:description><rdf:Alt>'
    '<rdf:li xml:lang="x-default">a fox&#xA;-blurry&#xA;Steps: 25</rdf:li></rdf:Alt></dc:description>'
    "<xmp:CreatorTool>Draw Things</xmp:CreatorTool><exif:UserComment>\n <rdf:Alt>\n  "
    f'<rdf:li xml:lang="x-default">{json.dumps(DRAW_THINGS).replace("&", "&amp;")}</rdf:li>'
    "</rdf:Alt></exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>"
)
EASY = {
    **{"prompt": PROMPT, "negative_prompt": NEGATIVE, "seed": 4711, "num_inference_steps": 25, "guidance_scale": 6.5},
    **{"width": 832, "height": 1216, "sampler_name": "dpmpp_2m", "use_stable_diffusion_model": "fox"},
    **{"use_vae_model": "sdxl_vae", "use_lora_model": ["ink"], "lora_alpha": [0.8], "clip_skip": True},
}
EASY_FLAT = {
    **{"Prompt": PROMPT, "Negative Prompt": NEGATIVE, "Seed": "4711", "Steps": "25", "Guidance Scale": "6.5"},
    **{"Width": "832", "Height": "1216", "Sampler": "dpmpp_2m", "Stable Diffusion model": "fox"},
    **{"LoRA model": "ink", "LoRA Strength": "0.8", "Clip Skip": "True"},
}
MATRIX = {
    **{"PositivePrompt": PROMPT, "NegativePrompt": NEGATIVE, "Steps": 25, "Sampler": "DPM++ 2M Karras"},
    **{"CfgScale": 6.5, "Seed": 4711, "Height": 1216, "Width": 832, "ModelName": "fox", "ModelHash": "1f"},
}
RESOURCES = (
    'Civitai resources: [{"type":"checkpoint","modelVersionId":1,"modelName":"Fox"},'
    '{"type":"lora","weight":0.8,"modelName":"Ink"}]'
)
TAGGED = f"{PROMPT} <lora:ink:0.8>"

FOX = {"model": "fox"}
FILE = {"model": "fox.safetensors"}

CASES = {
    "a1111": Case("A1111", {"parameters": infotext("Model: fox, Clip skip: 2, Version: v1.10.1", prompt=TAGGED)},
                  {**FOX, "clip_skip": 2, "prompts": (TAGGED,)}, (("ink", 0.8),)),
    "old a1111": Case("A1111", {"parameters": infotext("Model: fox", sampler="Sampler: DPM++ 2M Karras")}, FOX),
    "a1111 controlnet": Case("A1111", {"parameters": infotext(
        'ControlNet 0: "Module: canny, Model: canny [1f2e], Weight: 0.6", Version: v1.9.4')}),
    "forge": Case("Forge", {"parameters": infotext("Version: f2.0.1v1.10.1-previous-313-g8a042934")}),
    "old forge": Case("Forge", {"parameters": infotext("Version: f0.0.17v1.8.0rc-latest-276-g29be1da7")}),
    "reforge": Case("reForge", {"parameters": infotext("Version: f1.7.0-v1.10.1RC-latest-2172")}),
    "forge neo": Case("Forge Neo", {"parameters": infotext("Version: neo")}),
    "sd.next": Case("SD.Next", {"parameters": infotext("Model: fox, App: SD.Next, Version: 8b73cb6")}, FOX),
    "civitai": Case("Civitai", {"parameters": infotext(RESOURCES)}, {"model": "Fox"}, (("Ink", 0.8),)),
    "saver of comfyui": Case("ComfyUI", {"parameters": infotext("Version: ComfyUI")}),
    "fooocus infotext": Case("Fooocus", {"parameters": infotext("Version: Fooocus v2.5.5")}),
    "animatediff": Case("A1111", {"parameters": infotext('AnimateDiff: "model: mm, video_length: 16, fps: 8"')}),
    "comfyui": Case("ComfyUI", {"prompt": json.dumps(GRAPH)}, FILE, (("ink.safetensors", 0.8),)),
    "comfyui and infotext": Case("ComfyUI", {"prompt": json.dumps(GRAPH), "parameters": infotext()}, FILE,
                                 (("ink.safetensors", 0.8),)),
    "civitai graph": Case("Civitai", {"comment": json.dumps(CIVITAI_GRAPH)},
                          {"model": "urn:air:sdxl:checkpoint:civitai:1@2"}, (("urn:air:sdxl:lora:civitai:3@4", 0.8),)),
    "invokeai": Case("InvokeAI", {"invokeai_metadata": json.dumps(INVOKE)},
                     {**FOX, "vae": "sdxl_vae", "clip_skip": 2}, (("ink", 0.8),)),
    "invokeai 3": Case("InvokeAI", {"invokeai_metadata": json.dumps({**INVOKE, "model": {"model_name": "fox"},
                       "loras": [{"lora": {"model_name": "ink", "base_model": "sd-1"}, "weight": 0.8}]})},
                       FOX, (("ink", 0.8),)),
    "invokeai 2": Case("InvokeAI", {"sd-metadata": json.dumps(INVOKE_2)}, FOX, names=("k_dpmpp_2", None)),
    "dream": Case("InvokeAI", {"dream": f'"{PROMPT} [{NEGATIVE}]" -s 25 -S 4711 -W 832 -H 1216 -C 6.5 -A k_dpmpp_2m'},
                  names=("dpmpp_2m", None)),
    "novelai": Case("NovelAI", {"software": "NovelAI", "comment": json.dumps(NOVELAI)}),
    "novelai 4": Case("NovelAI", NOVELAI_TEXTS,
                      {"prompts": (PROMPT, "a girl"), "model": "NovelAI Diffusion V4 37442FCA"}),
    "swarmui": Case("SwarmUI", {"parameters": json.dumps({"sui_image_params": SWARM})},
                    {"model": "SDXL/fox", "vae": "sdxl_vae", "clip_skip": 2}, (("ink", 0.8),)),
    "swarmui jpeg": Case("SwarmUI", {"comment": json.dumps({"sui_image_params": SWARM, "sui_models": []}, indent=2)},
                         {"model": "SDXL/fox"}, (("ink", 0.8),)),
    "fooocus": Case("Fooocus", {"parameters": json.dumps(FOOOCUS)}, {**FILE, "clip_skip": 2},
                    (("ink.safetensors", 0.8),)),
    "fooocus jpeg": Case("Fooocus", {"comment": json.dumps({k: v for k, v in FOOOCUS.items() if k != "loras"})}, FILE,
                         (("ink.safetensors", 0.8),)),
    "mre": Case("Fooocus-MRE", {"parameters": json.dumps(MRE)}, FILE, (("ink.safetensors", 0.8),)),
    "ruined": Case("RuinedFooocus", {"parameters": json.dumps(RUINED)}, FILE, (("ink.safetensors", 0.8),)),
    "old ruined": Case("RuinedFooocus", {"parameters": json.dumps({**RUINED, "loras": "Loras:<ink:0.8>"})}, FILE,
                       (("ink", 0.8),)),
    "draw things": Case("Draw Things", {"xml:com.adobe.xmp": XMP}, {"model": "fox.ckpt"}, (("ink.ckpt", 0.8),)),
    "draw things exif": Case("Draw Things", {"comment": json.dumps(DRAW_THINGS)}, {"model": "fox.ckpt"},
                             (("ink.ckpt", 0.8),)),
    "easy diffusion": Case("Easy Diffusion", {"comment": json.dumps(EASY)}, {**FOX, "clip_skip": 2}, (("ink", 0.8),),
                           ("dpmpp_2m", None)),
    "easy diffusion png": Case("Easy Diffusion", {key.lower(): value for key, value in EASY_FLAT.items()},
                               {**FOX, "clip_skip": 2}, (("ink", 0.8),), ("dpmpp_2m", None)),
    "easy diffusion keys": Case("Easy Diffusion", {key: str(value) for key, value in EASY.items()},
                                FOX, (("ink", 0.8),), ("dpmpp_2m", None)),
    "stability matrix": Case("Stability Matrix", {"parameters-json": json.dumps(MATRIX), "parameters": infotext()},
                             FOX),
}  # fmt: skip
"""Layout -> what it means."""
