"use strict";

/**
 * Lets a range be chosen on the time line: by dragging over it, or by its two sliders. The graph
 * then shows the samples of that range only, and a line above it says so.
 *
 * `svg` is the graph of samples, `graph` returns what makeFlameGraph made of it. The attribute
 * data-samples holds, for each of its frames, "bin" or "bin*samples" of the samples that end there.
 */
function makeTimeLine(box, svg, graph) {
  const LEAST_DRAG = 4;
  const bins = Number(box.dataset.bins);
  const binSeconds = Number(box.dataset.binNs) / 1e9;
  const allSeconds = Number(box.dataset.durationNs) / 1e9;
  const hz = Number(box.dataset.hz);
  const strips = box.querySelector(".strips");
  const chooser = box.querySelector(".chooser");
  const from = chooser.querySelector(".from");
  const to = chooser.querySelector(".to");
  const status = chooser.querySelector("span");
  const hint = status.textContent;
  const chosen = document.createElement("div");
  const note = document.createElement("p");
  let samples = null;
  let pressed = null;
  let range = { first: 0, end: 0 };
  let isNarrow = false;

  /** Returns (bin, samples) in turn for each frame; read when it is needed first. */
  function read() {
    samples = samples || box.dataset.samples.split(",").map((frame) =>
      frame === "" ? [] : frame.split(" ").map((entry) => entry.split("*").map(Number)));
    return samples;
  }

  /** Returns how many samples of the range [first, end) end in each frame. */
  function within(first, end) {
    return read().map((entries) => {
      let sum = 0;
      for (const [bin, count = 1] of entries) {
        sum += bin >= first && bin < end ? count : 0;
      }
      return sum;
    });
  }

  function seconds(bin) {
    return bin === bins ? allSeconds : bin * binSeconds;
  }

  function words(first, end) {
    const digits = Math.max(0, Math.ceil(-Math.log10(binSeconds)));
    return `${seconds(first).toFixed(digits)} to ${seconds(end).toFixed(digits)} s`;
  }

  function choose(first, end) {
    from.value = String(first);
    to.value = String(end);
    if (first === range.first && end === range.end) {
      return;
    }
    range = { first, end };
    from.setAttribute("aria-valuetext", `${seconds(first).toFixed(2)} s`);
    to.setAttribute("aria-valuetext", `${seconds(end).toFixed(2)} s`);
    const isWhole = first === 0 && end === bins;
    chosen.hidden = isWhole;
    note.hidden = isWhole;
    chooser.querySelector("button").disabled = isWhole;
    const [left, right] = [seconds(first) / allSeconds, seconds(end) / allSeconds];
    chosen.style.left = `calc(var(--side) + (100% - var(--side)) * ${left})`;
    chosen.style.width = `calc((100% - var(--side)) * ${right - left})`;
    if (isWhole) {
      status.textContent = hint;
      if (isNarrow) {
        graph().narrow(null);
      }
      isNarrow = false;
      return;
    }
    const own = within(first, end);
    const sum = own.reduce((one, other) => one + other, 0);
    const count = `${sum.toLocaleString("en")} sample${sum === 1 ? "" : "s"}`;
    status.textContent = `${words(first, end)}: ${count}`;
    note.textContent = `Only ${words(first, end)} of the window: ${count}. Escape in the time line shows all.`;
    isNarrow = true;
    graph().narrow(own, (weight) => {
      const share = ((weight / (sum || 1)) * 100).toFixed(2);
      const found = `${weight.toLocaleString("en")} sample${weight === 1 ? "" : "s"}`;
      return `${found}, ${(weight / hz).toPrecision(3)} s, ${share} % of ${words(first, end)}`;
    });
  }

  function clear() {
    pressed = null;
    choose(0, bins);
  }

  function binAt(event) {
    const area = strips.querySelector("svg").getBoundingClientRect();
    const share = (event.clientX - area.left) / area.width;
    return Math.min(Math.max(Math.floor((share * allSeconds) / binSeconds), 0), bins - 1);
  }

  function drag(event) {
    if (pressed === null || Math.abs(event.clientX - pressed.x) < LEAST_DRAG) {
      return;
    }
    const bin = binAt(event);
    choose(Math.min(bin, pressed.bin), Math.max(bin, pressed.bin) + 1);
  }

  for (const input of [from, to]) {
    input.min = "0";
    input.max = String(bins);
    input.step = "1";
  }
  from.addEventListener("input", () => {
    const first = Math.min(Number(from.value), bins - 1);
    choose(first, Math.max(Number(to.value), first + 1));
  });
  to.addEventListener("input", () => {
    const end = Math.max(Number(to.value), 1);
    choose(Math.min(Number(from.value), end - 1), end);
  });
  strips.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.target.closest("svg")) {
      event.preventDefault();
      pressed = { x: event.clientX, bin: binAt(event) };
      strips.setPointerCapture(event.pointerId);
    }
  });
  strips.addEventListener("pointermove", drag);
  strips.addEventListener("pointerup", (event) => {
    if (pressed === null) {
      return;
    }
    drag(event);
    pressed = null;
    from.focus({ preventScroll: true });
  });
  strips.addEventListener("pointercancel", () => {
    pressed = null;
  });
  strips.addEventListener("dblclick", clear);
  chooser.querySelector("button").addEventListener("click", clear);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      clear();
    }
  });
  chosen.className = "chosen";
  strips.append(chosen);
  note.className = "range";
  note.setAttribute("role", "status");
  svg.parentElement.before(note);
  chooser.hidden = false;
  box.classList.add("is-live");
  clear();
}
