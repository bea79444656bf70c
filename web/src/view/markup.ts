// The element's inside is a canvas, what lies over it, and a row of controls.

const ICONS = {
  play: "M8 5v14l11-7z",
  pause: "M6 5h4v14H6zM14 5h4v14h-4z",
  reset: "M12 5V1L7 6l5 5V7a6 6 0 1 1-6 6H4a8 8 0 1 0 8-8z",
  closer: "M19 13h-6v6h-2v-6H5v-2h6V5h2v6h6z",
  farther: "M19 13H5v-2h14z",
  about: "M11 7h2v2h-2zm0 4h2v6h-2zm1-9a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 18a8 8 0 1 1 0-16 8 8 0 0 1 0 16z",
  full: "M7 14H5v5h5v-2H7zM5 10h2V7h3V5H5zm12 7h-3v2h5v-5h-2zM14 5v2h3v3h2V5z",
};

export type Icon = keyof typeof ICONS;

/** Return the drawing of an icon. */
export function icon(name: Icon): string {
  return `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
}

function button(name: Icon, label: string): string {
  return `<button type="button" data-act="${name}" aria-label="${label}" title="${label}">${icon(name)}</button>`;
}

const HELP = "Arrow keys turn it, with Shift they move it, plus and minus zoom, Home resets, the space bar plays the film,"
  + " comma and full stop step through it, F fills the screen.";

export const MARKUP = `
<canvas part="canvas" tabindex="0" role="application" aria-roledescription="3D view" aria-describedby="help"></canvas>
<img part="poster" alt="" hidden>
<p id="help" class="apart">${HELP}</p>
<div class="hint" aria-hidden="true"><svg viewBox="0 0 24 24"><path d="M3 12l5-5v3h8V7l5 5-5 5v-3H8v3z"/></svg>Drag to turn</div>
<p class="message" role="alert" hidden></p>
<dl class="about" tabindex="-1" aria-label="About this piece" hidden></dl>
<div class="controls" part="controls" role="group" aria-label="Controls">
  ${button("play", "Play the film")}
  <input type="range" min="0" value="0" step="1" aria-label="Frame of the film">
  ${button("farther", "Zoom out")}${button("closer", "Zoom in")}${button("reset", "Reset the view")}
  <input type="color" aria-label="Colour of the ground" title="Colour of the ground">
  ${button("about", "About this piece")}${button("full", "Full screen")}
</div>
<progress max="1" aria-label="Loading" hidden></progress>
<p class="status" role="status"></p>`;

export const STYLE = `
:host { display: block; position: relative; aspect-ratio: var(--film, 3 / 4); container-type: inline-size; overflow: hidden;
  color: #1b1b1b; background: #fff; font: 15px/1.4 system-ui, sans-serif; }
:host([hidden]) { display: none; }
[hidden] { display: none !important; }
canvas, img { position: absolute; inset: 0; width: 100%; height: 100%; }
canvas { touch-action: pan-y; cursor: grab; outline: none; }
canvas:active { cursor: grabbing; }
:host(:fullscreen) canvas { touch-action: none; }
canvas:focus-visible { outline: 3px solid #0b57d0; outline-offset: -3px; }
img { object-fit: contain; pointer-events: none; }
.apart { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.hint { position: absolute; left: 50%; bottom: 5.5rem; transform: translateX(-50%); display: flex; gap: .5rem;
  align-items: center; padding: .4rem 1rem; border-radius: 2rem; color: #fff;
  background: #1b1b1bd0; pointer-events: none; white-space: nowrap;
  opacity: 0; transition: opacity .3s; }
.hint svg { width: 1.5rem; fill: currentColor; animation: sway 2s ease-in-out infinite; }
:host([state="moving"]:not([touched])) .hint, :host([state="still"]:not([touched])) .hint { opacity: 1; }
@keyframes sway { 50% { transform: translateX(-.4rem); } 0%, 100% { transform: translateX(.4rem); } }
.message { position: absolute; inset: auto 1rem 50% 1rem; margin: 0; padding: 1rem; border-radius: .5rem; background: #fff;
  border: 1px solid #a40000; color: #7a0000; text-align: center; }
.about { position: absolute; inset: .5rem .5rem 3.5rem; margin: 0; padding: 1rem; overflow: auto; border-radius: .5rem;
  background: #fffffff2; }
.about dt { font-weight: 600; text-transform: capitalize; }
.about dd { margin: 0 0 .6rem; overflow-wrap: anywhere; }
.controls { position: absolute; inset: auto 0 0; display: flex; align-items: center; gap: .125rem; padding: .25rem;
  background: #ffffffd8; }
.status { position: absolute; left: .5rem; right: .5rem; bottom: 3rem; margin: 0; font-size: .8rem; text-align: center;
  text-shadow: 0 0 3px #fff, 0 0 3px #fff; pointer-events: none; }
progress { position: absolute; left: 10%; bottom: 1.5rem; width: 80%; accent-color: #1b1b1b; }
button { flex: none; width: 2.4rem; height: 2.4rem; padding: .5rem; border: 0; border-radius: .4rem; background: none;
  color: inherit; cursor: pointer; }
button:hover { background: #0000001a; }
button svg { display: block; fill: currentColor; }
input { accent-color: #1b1b1b; }
input[type="range"] { flex: 1; min-width: 2rem; }
input[type="color"] { flex: none; width: 2rem; height: 2rem; padding: .2rem; border: 0; background: none; cursor: pointer; }
button:focus-visible, input:focus-visible { outline: 3px solid #0b57d0; outline-offset: -1px; }
:host(:not([state="moving"], [state="still"])) .controls { visibility: hidden; }
@container (max-width: 300px) { [data-act="closer"], [data-act="farther"] { display: none; } }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }`;
