// Presets of Remix Recipe: a list below its widgets, with the examples of this repository and the presets that the user
// saved. A preset has the values of the node's widgets. ComfyUI keeps those of the user in its folder of user data.

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

const FOLDER = "remix-presets";
const EMPTY = { frames: 0, fps: 0, width: 0, height: 0, syntax: "auto" };

const examples = fetch(new URL("../presets.json", import.meta.url)).then((answer) => answer.json());
const texts = api.getCustomNodesI18n().catch(() => ({}));
let saved = [];
let words = {};

async function loadWords() {
  const all = await texts;
  const chosen = app.extensionManager?.setting?.get?.("Comfy.Locale") ?? "en";
  words = { ...all.en?.remixPresets, ...all[chosen]?.remixPresets };
}

const fill = (sentence, name) => sentence.replace("{name}", name);

async function listSaved() {
  const files = await api.listUserDataFullInfo(FOLDER).catch(() => []);
  const names = files.map(({ path }) => path).filter((path) => path.endsWith(".json") && !path.includes("/"));
  saved = names.map((path) => path.slice(0, -".json".length)).sort((one, other) => one.localeCompare(other));
}

function tell(severity, detail) {
  app.extensionManager?.toast?.add?.({ severity, summary: "Remix", detail, life: 5000 });
}

async function valuesOf(name) {
  const own = (await examples)[name];
  if (own) return { ...EMPTY, ...own };
  const answer = await api.getUserData(`${FOLDER}/${name}.json`);
  if (!answer.ok) throw new Error(fill(words.lost, name));
  const values = await answer.json();
  if (typeof values?.recipe !== "string") throw new Error(fill(words.lost, name));
  return { ...EMPTY, ...values };
}

const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);

async function apply(node, name) {
  const values = await valuesOf(name);
  app.graph.beforeChange?.();
  for (const field of ["recipe", ...Object.keys(EMPTY)]) {
    const widget = widgetOf(node, field);
    if (!widget || typeof values[field] !== typeof widget.value) continue;
    widget.value = values[field];
    widget.callback?.(values[field], app.canvas, node);
  }
  app.graph.afterChange?.();
  node.setDirtyCanvas?.(true, true);
}

async function save(node, list) {
  const message = words.name;
  const entered = await app.extensionManager.dialog.prompt({ title: words.save, message, defaultValue: "" });
  const name = entered?.trim();
  if (!name) return;
  // A name becomes the name of a file on every system.
  if (!/^[^\\/:*?"<>|\x00-\x1f.][^\\/:*?"<>|\x00-\x1f]{0,79}$/.test(name)) throw new Error(fill(words.odd, name));
  if ((await examples)[name]) throw new Error(fill(words.taken, name));
  const fields = ["recipe", ...Object.keys(EMPTY)];
  const values = Object.fromEntries(fields.map((field) => [field, widgetOf(node, field)?.value]));
  await api.storeUserData(`${FOLDER}/${name}.json`, values, { overwrite: true, stringify: true, throwOnError: true });
  await listSaved();
  list.value = name;
  tell("success", fill(words.saved, name));
}

function withErrors(work) {
  return (...given) => work(...given).catch((error) => tell("error", error.message));
}

function addPresets(node, names) {
  const options = { values: () => [words.choose, ...names, ...saved], serialize: false };
  const list = node.addWidget("combo", "preset", words.choose, withErrors(async (name) => {
    if (name !== words.choose) await apply(node, name);
  }), options);
  const button = node.addWidget("button", "save_preset", null, withErrors(() => save(node, list)), { serialize: false });
  for (const widget of [list, button]) widget.serialize = false;
  list.label = words.label;
  list.tooltip = words.help;
  button.label = words.save;
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
}

let names = [];

app.registerExtension({
  name: "RemixToolkit.presets",
  async setup() {
    names = Object.keys(await examples.catch(() => ({})));
    await Promise.all([loadWords(), listSaved()]);
  },
  nodeCreated(node) {
    if (node.comfyClass === "RemixRecipe") addPresets(node, names);
  },
});
