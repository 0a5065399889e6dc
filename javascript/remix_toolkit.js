// Remix: while the panel is seen, it is read again a moment after the last change of a field. The host drops a request
// while another of the same kind is on its way, so what changed meanwhile asks once more when that has come back.

const remixLooks = {};

// `button` is the id of the hidden button that asks; the panel around it has the id that ends in "panel".
function remixLook(button) {
    const look = (remixLooks[button] ??= {});
    clearTimeout(look.timer);
    look.timer = setTimeout(() => {
        if (!gradioApp().getElementById(button.replace(/look$/, "panel"))?.offsetParent) return;
        look.waiting = true;
        gradioApp().getElementById(button)?.click();
    }, 300);
}

// Called as the request leaves, with the values that go with it.
function remixAsked(button, values) {
    remixLooks[button].waiting = false;
    return values;
}

function remixAnswered(button) {
    if (remixLooks[button]?.waiting) remixLook(button);
}

// Called before an example or a preset replaces a text that somebody may have written; without a name nothing is replaced.
function remixReplace(name, text) {
    const keep = text.trim() && !confirm("Replace the keyframes with this example or preset? The text that is there now is lost.");
    return [keep ? null : name, text];
}
