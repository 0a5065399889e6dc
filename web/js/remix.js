// Remix nodes in ComfyUI's front end, in the classic canvas and in Nodes 2.0: texts below the widgets of a node (its
// remarks, the table of a schedule, and a link to the report of a job), a tall editor for recipes, and the contact sheet in place of the last preview.

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

const LINE = 18;
const EDITOR = 240;
const TEXTS = {
  table: { most: 12, style: { font: "12px/18px monospace", whiteSpace: "pre" } },
  remarks: { most: 8, style: { font: "12px/18px sans-serif", whiteSpace: "pre-wrap", overflowWrap: "anywhere" } },
};

function element(name) {
  const box = document.createElement("div");
  box.className = `remix-${name}`;
  box.setAttribute("role", "note");
  Object.assign(box.style, {
    boxSizing: "border-box",
    width: "100%",
    height: "100%",
    overflow: "auto",
    padding: "4px 8px",
    userSelect: "text",
    color: "var(--input-text, #ddd)",
    background: "var(--comfy-input-bg, #222)",
    border: "1px solid var(--border-color, #444)",
    borderRadius: "4px",
    ...TEXTS[name].style,
  });
  // The canvas would zoom.
  box.addEventListener("wheel", (event) => event.stopPropagation());
  return box;
}

function added(node, name) {
  const box = element(name);
  const height = () => LINE * Math.min(TEXTS[name].most, Math.max(2, lines(box, node, name))) + 10;
  const widget = node.addDOMWidget(`remix_${name}`, `remix_${name}`, box, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: height,
    getMaxHeight: height,
    getValue: () => box.textContent,
    setValue: () => {},
  });
  widget.serialize = false;
  return widget;
}

// The canvas asks for a height before the browser has laid the text out.
function lines(box, node, name) {
  const written = box.textContent.split("\n");
  if (name === "table") return written.length + 1; // and the scroll bar
  const wide = Math.max(20, Math.floor((node.size[0] - 40) / 6.5));
  return written.reduce((sum, line) => sum + Math.ceil((line.length || 1) / wide), 0);
}

function show(node, name, texts) {
  let widget = node.widgets?.find((one) => one.name === `remix_${name}`);
  if (!widget && !texts.length) return;
  const isNew = !widget;
  widget ??= added(node, name);
  widget.element.textContent = texts.join("\n") || "No remarks.";
  if (isNew) grow(node);
  node.setDirtyCanvas?.(true, true);
}

function grow(node) {
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
}

// The host serves pages as downloads, so that they cannot act in its name.
function showPage(node, { filename, subfolder, type }) {
  let widget = node.widgets?.find((one) => one.name === "remix_page");
  const isNew = !widget;
  if (isNew) {
    const link = document.createElement("a");
    Object.assign(link.style, { display: "block", padding: "2px 8px", font: "12px/18px sans-serif", color: "#6cf" });
    widget = node.addDOMWidget("remix_page", "remix_page", link, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => LINE + 24, // with the margin that the canvas leaves above and below
      getMaxHeight: () => LINE + 24,
      getValue: () => link.href,
      setValue: () => {},
    });
    widget.serialize = false;
  }
  const link = widget.element;
  link.href = api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
  link.download = `${subfolder.split("/").pop()}.html`;
  link.textContent = "Report: how evenly the film moves";
  if (isNew) grow(node);
  node.setDirtyCanvas?.(true, true);
}

function showTexts(node, output) {
  if (output?.page?.[0]?.filename) showPage(node, output.page[0]);
  for (const name of Object.keys(TEXTS)) {
    if (Array.isArray(output?.[name])) show(node, name, output[name]);
  }
}

// While a node samples, the front end shows its previews in place of its pictures, and keeps the last one.
function endPreview(node) {
  const locator = app.graph === node.graph ? String(node.id) : `${node.graph.id}:${node.id}`;
  const store = app.extensionManager?._p?._s?.get?.("nodeOutput");
  if (store?.revokePreviewsByLocatorId) store.revokePreviewsByLocatorId(locator);
  else delete app.nodePreviewImages?.[locator];
  node.imgs = undefined;
  node.setDirtyCanvas?.(true, true);
}

// In Nodes 2.0, the editor would shrink to three lines when the table and the curves appear.
const style = document.createElement("style");
style.textContent = `[node-type="RemixRecipe"] textarea { min-height: ${EDITOR}px; }`;
document.head.append(style);

function tallEditor(node) {
  const editor = node.widgets?.find((widget) => widget.name === "recipe");
  if (!editor?.options) return;
  editor.options.getMinHeight = () => EDITOR;
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, 420), Math.max(node.size[1], height)]);
}

app.registerExtension({
  name: "RemixToolkit.nodes",
  nodeCreated(node) {
    if (node.comfyClass === "RemixRecipe") tallEditor(node);
  },
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("Remix")) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (message) {
      onExecuted?.apply(this, arguments);
      if (message?.images && nodeData.name === "RemixRender") endPreview(this);
      showTexts(this, message);
    };
  },
  // A workflow that is opened again brings what its nodes gave.
  onNodeOutputsUpdated(outputs) {
    for (const [number, output] of Object.entries(outputs ?? {})) {
      const node = app.graph?.getNodeById?.(Number(number));
      if (node?.type?.startsWith?.("Remix")) showTexts(node, output);
    }
  },
});
