// Shows the remarks of a Remix node as text on the node, in the classic canvas and in Nodes 2.0.

import { app } from "../../../scripts/app.js";

const NAME = "remix_remarks";
const LINE = 18;
const MOST_LINES = 8;

function element() {
  const box = document.createElement("div");
  box.className = "remix-remarks";
  box.setAttribute("role", "note");
  Object.assign(box.style, {
    boxSizing: "border-box",
    width: "100%",
    height: "100%",
    overflow: "auto",
    padding: "4px 8px",
    font: "12px/1.4 sans-serif",
    whiteSpace: "pre-wrap",
    overflowWrap: "anywhere",
    userSelect: "text",
    color: "var(--input-text, #ddd)",
    background: "var(--comfy-input-bg, #222)",
    border: "1px solid var(--border-color, #444)",
    borderRadius: "4px",
  });
  return box;
}

function added(node) {
  const box = element();
  const height = () => LINE * Math.min(MOST_LINES, Math.max(2, lines(box, node))) + 10;
  const widget = node.addDOMWidget(NAME, "remix_remarks", box, {
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
function lines(box, node) {
  const wide = Math.max(20, Math.floor((node.size[0] - 40) / 6.5));
  return box.textContent.split("\n").reduce((sum, line) => sum + Math.ceil((line.length || 1) / wide), 0);
}

function show(node, remarks) {
  let widget = node.widgets?.find((one) => one.name === NAME);
  if (!widget && !remarks.length) return;
  const isNew = !widget;
  widget ??= added(node);
  widget.element.textContent = remarks.join("\n") || "No remarks.";
  if (isNew) {
    const [width, height] = node.computeSize();
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  }
  node.setDirtyCanvas?.(true, true);
}

app.registerExtension({
  name: "RemixToolkit.remarks",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("Remix")) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (message) {
      onExecuted?.apply(this, arguments);
      if (Array.isArray(message?.remarks)) show(this, message.remarks);
    };
  },
  // A workflow that is opened again brings what its nodes gave.
  onNodeOutputsUpdated(outputs) {
    for (const [number, output] of Object.entries(outputs ?? {})) {
      const node = app.graph?.getNodeById?.(Number(number));
      if (node?.type?.startsWith?.("Remix") && Array.isArray(output?.remarks)) show(node, output.remarks);
    }
  },
});
