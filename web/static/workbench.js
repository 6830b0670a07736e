// The map editor: preview while typing, and a click on a place goes there.
(function () {
  const form = document.getElementById("editor");
  if (!form) return;
  const preview = document.getElementById("preview");
  const text = document.getElementById("text");
  let timer, running;

  async function refresh() {
    if (running) running.abort();
    running = new AbortController();
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)), signal: running.signal });
      if (answer.ok) preview.innerHTML = await answer.text();
    } catch (e) {
      if (e.name !== "AbortError") throw e;
    }
  }

  form.addEventListener("input", function (e) {
    if (e.target.name === "comment") return;
    clearTimeout(timer);
    timer = setTimeout(refresh, 400);
  });

  preview.addEventListener("click", function (e) {
    const link = e.target.closest("[data-line]");
    if (!link) return;
    e.preventDefault();
    const lines = text.value.split("\n");
    const line = Math.min(Number(link.dataset.line), lines.length);
    let at = 0;
    for (let i = 0; i < line - 1; i++) at += lines[i].length + 1;
    text.focus();
    text.setSelectionRange(at, at + lines[line - 1].length);
    text.scrollTop = (line - 8) * text.scrollHeight / lines.length;
  });
})();
