// <nerfsem-viewer src="relic.nsem"> shows a piece in any page.

import { Refused } from "../decoder/refused";
import { hexOf, parseColor } from "./color";
import { listen } from "./gestures";
import type { Recipe } from "../decoder/bundle";
import { Programs } from "../render/renderer";
import { decodeAside, type Decoded, fetchBytes } from "./loader";
import { icon, MARKUP, STYLE } from "./markup";
import { Piece } from "./piece";

/** The first picture sways once by this angle, to say that it can be turned. */
const SWAY = Math.PI / 12;
const SWAY_MILLISECONDS = 1800;
const PLAIN = "The film has a residual, which the viewer does not show: it is a little softer here than when it is decoded.";
const SOFT = "This device cannot sharpen the film, which is therefore a little softer than it was meant to be.";
const GAVE_UP = "this device gave up drawing it";

/**
 * The element's attributes are `src` (a bundle's address), `poster` (a picture while it loads), `ground` (a CSS colour, or
 * "transparent") and `label` (what the piece is, for those who do not see it). It sets `state` itself: "loading", "moving",
 * "still" or "refused". It dispatches "nerfsem-load" when the first picture is there, and "nerfsem-error" with a reason.
 */
export class Viewer extends HTMLElement {
  static readonly observedAttributes = ["src", "poster", "ground", "label"];
  private readonly root = this.attachShadow({ mode: "open" });
  private piece: Piece | null = null;
  private decoded: Decoded | null = null;
  private programs: Programs | null = null;
  /** An element that is upgraded hears of its attributes before it is told that it is connected. */
  private connected = false;
  /** The present canvas shows a picture. */
  private drawn = false;
  /** The page was told that the piece is there. */
  private announced = false;
  /** This is said where a background is not shown. */
  private note = "";
  private loading = new AbortController();
  private readonly resizing = new ResizeObserver(() => this.piece?.resize());
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");

  constructor() {
    super();
    this.root.innerHTML = `<style>${STYLE}</style>${MARKUP}`;
    this.listenToControls();
  }

  connectedCallback(): void {
    this.connected = true;
    this.resizing.observe(this);
    this.load();
  }

  disconnectedCallback(): void {
    this.connected = false;
    this.resizing.disconnect();
    this.unload();
  }

  attributeChangedCallback(name: string): void {
    if (!this.connected) return;
    if (name === "src") this.load();
    else this.dress();
  }

  /** Return a stored frame as every decoder draws it: at its own size, over the ground. Throws an Error before it is loaded. */
  picture(index: number): ImageData {
    if (!this.piece) throw new Error("no piece is shown yet");
    return this.piece.picture(index);
  }

  private async load(): Promise<void> {
    this.unload();
    this.setAttribute("state", "loading");
    this.dress();
    const address = this.getAttribute("src");
    if (!address) return;
    const { signal } = (this.loading = new AbortController());
    this.get<HTMLProgressElement>("progress").value = 0;
    this.get("progress").hidden = false;
    this.say("Loading");
    try {
      const data = await fetchBytes(address, signal);
      const recipe = (known: Recipe) => this.compile(known);
      const progress = (share: number) => (this.get<HTMLProgressElement>("progress").value = share);
      const decoded = await decodeAside(data, { recipe, progress }, signal);
      if (!signal.aborted) this.begin(decoded);
    } catch (error) {
      if (!signal.aborted) this.refuse(error);
    }
  }

  private unload(): void {
    this.loading.abort();
    this.piece?.close();
    this.programs?.gl.getExtension("WEBGL_lose_context")?.loseContext();
    this.piece = this.decoded = this.programs = null;
    this.drawn = this.announced = false;
    this.get(".message").hidden = true;
  }

  /** Compile for a new canvas; one that was used has lost its context. Throws an Error where the browser has no WebGL 2. */
  private compile(known: Recipe): void {
    const used = this.get("canvas");
    const canvas = used.cloneNode() as HTMLCanvasElement;
    used.replaceWith(canvas);
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, depth: false, powerPreference: "high-performance" });
    if (!gl) throw new Error("this browser offers no WebGL 2, which drawing the piece needs");
    this.programs = new Programs(gl, known);
  }

  /** Show what was decoded. */
  private begin(decoded: Decoded): void {
    if (this.programs!.gl.isContextLost()) throw new Error(GAVE_UP);
    this.decoded = decoded;
    const canvas = this.get<HTMLCanvasElement>("canvas");
    const { camera } = decoded.bundle.cameras;
    this.style.setProperty("--film", `${camera.width} / ${camera.height}`);
    const piece = new Piece(canvas, this.programs!, decoded, {
      shown: (fine) => this.onShown(fine),
      changed: () => this.onChanged(),
      lost: () => this.recover(),
    });
    this.piece = piece;
    listen(canvas, this.actor(), () => this.calm.matches);
    this.dress();
    this.get<HTMLInputElement>("[type=range]").max = `${decoded.bundle.spec.frames - 1}`;
    this.fillAbout();
    piece.prepareBackground().then((plays) => {
      this.note = decoded.bundle.painted ? "The background is a network, which the viewer does not paint: the film shows the"
        + " object alone." : plays ? "The film shows the background, the free view the object alone." : "This browser cannot play"
        + " the background: the film shows the object alone.";
      if (piece === this.piece) this.onChanged();
    });
  }

  /** A device may take a canvas away, when it sleeps for instance. Where that ends a first picture, another would end so, too. */
  private recover(): void {
    const { decoded } = this;
    if (!decoded || !this.connected) return;
    this.piece?.close();
    try {
      if (!this.drawn) throw new Error(GAVE_UP);
      this.drawn = false;
      this.setAttribute("state", "loading");
      this.compile(decoded.bundle);
      this.begin(decoded);
    } catch (error) {
      this.refuse(error);
    }
  }

  private refuse(error: unknown): void {
    const reason = error instanceof Error ? error.message : `${error}`;
    if (!(error instanceof Refused)) console.error(error);
    this.piece?.close();
    const message = this.get(".message");
    message.textContent = `This piece cannot be shown: ${reason}.`;
    message.hidden = false;
    this.get("progress").hidden = true;
    this.say("");
    this.setAttribute("state", "refused");
    this.dispatchEvent(new CustomEvent("nerfsem-error", { detail: reason }));
  }

  private onShown(fine: boolean): void {
    this.setAttribute("state", fine ? "still" : "moving");
    if (this.drawn) return;
    this.drawn = true;
    this.get("img").hidden = true;
    this.get("progress").hidden = true;
    this.onChanged();
    if (this.announced) return;
    this.announced = true;
    this.dispatchEvent(new CustomEvent("nerfsem-load"));
    if (!this.calm.matches && this.piece?.quick) this.sway();
  }

  private sway(): void {
    const piece = this.piece;
    const start = performance.now();
    let before = 0;
    const go = (now: number) => {
      if (piece !== this.piece || this.hasAttribute("touched")) return;
      const share = Math.min((now - start) / SWAY_MILLISECONDS, 1);
      const angle = SWAY * Math.sin(2 * Math.PI * share) * (1 - share);
      piece?.turn(angle - before, 0);
      before = angle;
      if (share < 1) requestAnimationFrame(go);
    };
    requestAnimationFrame(go);
  }

  private onChanged(): void {
    const piece = this.piece;
    if (!piece) return;
    const shows = piece.filming && piece.film.plates && !piece.film.plates.broken;
    const notes = (piece.bundle.background || piece.bundle.painted) && !shows ? [this.note] : [];
    if (piece.filming && piece.bundle.filter && !piece.sharpens) notes.push(SOFT);
    if (piece.filming && piece.bundle.residual) notes.push(PLAIN);
    this.say(notes.join(" "));
    this.get<HTMLInputElement>("[type=range]").value = `${piece.film.index}`;
    const button = this.get("[data-act=play]");
    const label = piece.film.playing ? "Pause the film" : "Play the film";
    if (button.title === label) return;
    button.innerHTML = icon(piece.film.playing ? "pause" : "play");
    button.title = label;
    button.setAttribute("aria-label", label);
  }

  /** Return what gestures act on; the first of them takes the hint away. */
  private actor() {
    const touched = (act: (piece: Piece) => void) => {
      this.setAttribute("touched", "");
      if (this.piece) act(this.piece);
    };
    return {
      turn: (right: number, up: number) => touched((piece) => piece.turn(right, up)),
      zoom: (factor: number) => touched((piece) => piece.zoom(factor)),
      pan: (right: number, down: number) => touched((piece) => piece.pan(right, down)),
      reset: () => touched((piece) => piece.reset()),
      play: () => touched((piece) => piece.play()),
      step: (frames: number) => touched((piece) => piece.seek(piece.film.index + frames)),
      fullScreen: () => this.toggleFullScreen(),
    };
  }

  private listenToControls(): void {
    const actor = this.actor();
    const acts: Record<string, () => void> = {
      play: actor.play,
      reset: actor.reset,
      closer: () => actor.zoom(1.25),
      farther: () => actor.zoom(0.8),
      about: () => this.toggleAbout(),
      full: actor.fullScreen,
    };
    for (const [name, act] of Object.entries(acts)) this.get(`[data-act=${name}]`).addEventListener("click", act);
    const range = this.get<HTMLInputElement>("[type=range]");
    range.addEventListener("input", () => actor.step(range.valueAsNumber - (this.piece?.film.index ?? 0)));
    const color = this.get<HTMLInputElement>("[type=color]");
    color.addEventListener("input", () => this.setAttribute("ground", color.value));
    this.root.addEventListener("keydown", (event) => {
      if ((event as KeyboardEvent).key === "Escape" && !this.get(".about").hidden) this.toggleAbout();
    });
    this.get("[data-act=full]").hidden = !document.fullscreenEnabled;
  }

  private toggleFullScreen(): void {
    if (document.fullscreenElement === this) document.exitFullscreen();
    else this.requestFullscreen().catch(() => this.say("This page may not fill the screen."));
  }

  private toggleAbout(): void {
    const about = this.get(".about");
    about.hidden = !about.hidden;
    if (about.hidden) this.get("[data-act=about]").focus();
    else about.focus();
  }

  private fillAbout(): void {
    const { metadata, spec } = this.piece!.bundle;
    const entries = Object.entries(metadata);
    this.get(".about").replaceChildren(...(entries.length ? entries : [["title", spec.name]]).flatMap(([name, text]) => {
      const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      meaning.textContent = text;
      return [term, meaning];
    }));
  }

  /** Take over what the attributes say, but for `src`. */
  private dress(): void {
    const ground = parseColor(this.getAttribute("ground") ?? "#fff");
    this.style.background = this.getAttribute("ground") === "transparent" ? "none" : "";
    this.piece?.setGround(ground);
    this.get<HTMLInputElement>("[type=color]").value = hexOf(ground);
    const label = this.getAttribute("label") ?? this.piece?.bundle.metadata.title ?? "A piece";
    this.get("canvas").setAttribute("aria-label", `${label}, in three dimensions`);
    const poster = this.get<HTMLImageElement>("img");
    const address = this.getAttribute("poster");
    poster.hidden = !address || this.getAttribute("state") !== "loading";
    if (address) poster.src = address;
  }

  private say(text: string): void {
    const status = this.get(".status");
    if (status.textContent !== text) status.textContent = text;
  }

  private get<E extends HTMLElement = HTMLElement>(selector: string): E {
    return this.root.querySelector<E>(selector)!;
  }
}
