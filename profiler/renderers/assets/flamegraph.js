"use strict";

/**
 * Makes a drawn flame graph interactive: zoom by click or by menu, search, details under the mouse.
 *
 * Every frame is a group with a title ("name", line break, "what it weighs"), a rectangle, and the
 * attribute data-at: "start weight depth". Frames come parents first. Nothing outside `svg` is
 * touched unless the graph is the whole document. What it returns lets a page draw the graph again,
 * show a frame of it, and narrow it to a part of what was weighed; the event "zoomed" carries the name
 * of the frame that is zoomed.
 */
function makeFlameGraph(svg, isWholeDocument) {
  const CHARACTER_WIDTH = 7.25;
  const TEXT_INSET = 4;
  const BAR_HEIGHT = 32;
  const frames = Array.from(svg.querySelectorAll("g.frame"), (group) => {
    const [start, weight, depth] = group.dataset.at.split(" ").map(Number);
    const title = group.querySelector("title");
    const [name, details] = title.textContent.split("\n");
    const [rect, text] = [group.querySelector("rect"), group.querySelector("text")];
    return { group, title, rect, text, start, weight, depth, name, details };
  });
  if (frames.length === 0) {
    return { draw() {}, show() {}, narrow() {} };
  }
  const find = (selector) => svg.querySelector(selector);
  const search = find("input");
  const menu = find("select");
  const canvas = find(".frames");
  const height = Number(svg.getAttribute("height"));
  let zoomed = frames[0];
  let pattern = null;

  function isInside(inner, outer) {
    return inner.start >= outer.start && inner.start + inner.weight <= outer.start + outer.weight;
  }

  function write(frame, width) {
    const room = Math.floor((width - 2 * TEXT_INSET) / CHARACTER_WIDTH);
    if (room < 3) {
      if (frame.text) {
        frame.text.textContent = "";
      }
      return;
    }
    if (!frame.text) {
      frame.text = document.createElementNS(svg.namespaceURI, "text");
      frame.text.setAttribute("dx", TEXT_INSET);
      frame.text.setAttribute("y", Number(frame.rect.getAttribute("y")) + 13);
      frame.group.append(frame.text);
    }
    const isCut = frame.name.length > room;
    frame.text.textContent = isCut ? frame.name.slice(0, room - 1) + "\u2026" : frame.name;
  }

  function place(frame, pixels) {
    const isThere = frame.weight > 0;
    const isAbove = isThere && frame.depth < zoomed.depth && isInside(zoomed, frame);
    const isBelow = isThere && frame.depth >= zoomed.depth && isInside(frame, zoomed);
    frame.group.classList.toggle("above", isAbove);
    frame.group.classList.toggle("hidden", !isAbove && !isBelow);
    if (!isAbove && !isBelow) {
      return;
    }
    const x = isAbove ? 0 : (frame.start - zoomed.start) / zoomed.weight;
    const share = isAbove ? 1 : frame.weight / zoomed.weight;
    frame.rect.setAttribute("x", (x * 100).toFixed(4) + "%");
    frame.rect.setAttribute("width", (share * 100).toFixed(4) + "%");
    write(frame, share * pixels);
    if (frame.text) {
      frame.text.setAttribute("x", (x * 100).toFixed(4) + "%");
    }
  }

  /** Makes room for controls that need several lines, as they do on a phone. */
  function shift() {
    const holder = find("foreignObject");
    const extra = Math.max(0, holder.firstElementChild.scrollHeight - BAR_HEIGHT);
    holder.setAttribute("height", BAR_HEIGHT + extra);
    svg.setAttribute("height", height + extra);
    find(".details").setAttribute("transform", `translate(0 ${extra})`);
    canvas.setAttribute("transform", `translate(0 ${extra})`);
  }

  /** Draws for a width in pixels; there is none while a page does not show the graph. */
  function draw(pixels = svg.getBoundingClientRect().width) {
    if (pixels === 0) {
      return;
    }
    shift();
    for (const frame of frames) {
      place(frame, pixels);
    }
    find(".reset").disabled = zoomed === frames[0];
    const lane = frames.find((frame) => frame.depth === 1 && isInside(zoomed, frame));
    menu.value = String(frames.indexOf(zoomed.depth > 0 && lane ? lane : frames[0]));
    mark();
  }

  /** Zooms into a frame; into the whole, where nothing of the frame is in the range that is shown. */
  function zoom(frame) {
    zoomed = frame.weight > 0 ? frame : frames[0];
    draw();
    describe(frame);
    svg.dispatchEvent(new CustomEvent("zoomed", { detail: frame.name }));
  }

  /** Zooms into the widest frame of a name, and marks all frames of that function. */
  function show(name) {
    const named = frames.filter((frame) => frame.name === name);
    if (named.length > 0) {
      const widest = named.reduce((one, other) => (other.weight > one.weight ? other : one));
      search.value = widest.depth > 1 ? `^${plain(name)}$` : "";
      pattern = compile(search.value);
      zoom(widest);
    }
  }

  function plain(text) {
    return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  }

  /** Marks what the pattern matches; nested matches count once in the share. */
  function mark() {
    let matched = 0;
    let coveredUntil = -1;
    for (const frame of frames) {
      const isMatch = pattern !== null && pattern.test(frame.name);
      frame.group.classList.toggle("match", isMatch);
      if (isMatch && isInside(frame, zoomed) && frame.start >= coveredUntil) {
        matched += frame.weight;
        coveredUntil = frame.start + frame.weight;
      }
    }
    const share = ((matched / (zoomed.weight || 1)) * 100).toFixed(2);
    find(".matched").textContent = pattern === null ? "" : `matched: ${share} %`;
  }

  /** Takes the text as a regular expression, or as plain text if it is not a valid one. */
  function compile(text) {
    if (text === "") {
      return null;
    }
    try {
      return new RegExp(text, "i");
    } catch {
      return new RegExp(plain(text), "i");
    }
  }

  function describe(frame) {
    let text = `${frame.name}: ${frame.details}`;
    if (zoomed !== frames[0] && frame !== zoomed && isInside(frame, zoomed)) {
      text += `, ${((frame.weight / zoomed.weight) * 100).toFixed(2)} % of what is zoomed`;
    }
    find(".details").textContent = text;
  }

  const whole = frames.map(({ start, weight, details }) => ({ start, weight, details }));
  const above = [];
  const parents = frames.map((frame, index) => {
    above[frame.depth] = index;
    return frame.depth > 0 ? above[frame.depth - 1] : 0;
  });

  /** Gives frames what they weigh by `own`, which leaves out frames below; children keep their order. */
  function reweigh(own) {
    frames.forEach((frame, index) => {
      frame.weight = own[index];
    });
    for (let index = frames.length - 1; index > 0; index -= 1) {
      frames[parents[index]].weight += frames[index].weight;
    }
    const ends = [0];
    frames.forEach((frame, index) => {
      frame.start = ends[parents[index]];
      ends[index] = frame.start;
      ends[parents[index]] += index > 0 ? frame.weight : 0;
    });
  }

  /** Shows only a part, by each frame's own weight, and what `weigh` says of a weight; null: all. */
  function narrow(own, weigh) {
    if (own === null) {
      frames.forEach((frame, index) => Object.assign(frame, whole[index]));
    } else {
      reweigh(own);
      for (const frame of frames) {
        frame.details = weigh(frame.weight);
      }
    }
    for (const frame of frames) {
      frame.title.textContent = `${frame.name}\n${frame.details}`;
    }
    if (zoomed.weight > 0) {
      draw();
      describe(zoomed);
    } else {
      zoom(frames[0]);
    }
  }

  const byGroup = new Map(frames.map((frame) => [frame.group, frame]));
  const frameOf = (event) => byGroup.get(event.target.closest("g.frame")) ?? zoomed; // else a note
  canvas.addEventListener("click", (event) => zoom(frameOf(event)));
  canvas.addEventListener("mouseover", (event) => describe(frameOf(event)));
  canvas.addEventListener("mouseleave", () => describe(zoomed));
  find(".reset").addEventListener("click", () => zoom(frames[0]));
  menu.addEventListener("change", () => zoom(frames[Number(menu.value)]));
  search.addEventListener("input", () => {
    pattern = compile(search.value);
    mark();
  });
  svg.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      pattern = null;
      zoom(frames[0]);
    }
  });
  if (isWholeDocument) {
    window.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f") {
        event.preventDefault();
        search.focus();
        search.select();
      }
    });
  }
  window.addEventListener("resize", () => draw());
  zoom(frames[0]);
  return { draw, show, narrow };
}
