// What a visitor does with pointer, wheel and keys becomes turns, zooms and moves.

/** An actor does what gestures ask of it. */
export interface Actor {
  turn(right: number, up: number): void;
  zoom(factor: number): void;
  pan(right: number, down: number): void;
  reset(): void;
  play(): void;
  step(frames: number): void;
  fullScreen(): void;
}

const A_TURN = 1.5 * Math.PI;
const KEY_TURN = Math.PI / 18;
const KEY_PAN = 0.05;
const KEY_ZOOM = 1.15;
/** A thrown object loses this share of its speed in a second. */
const FRICTION = 0.985;

/** Listen to a canvas's pointers, wheel and keys. `calm` tells whether the visitor asked for less motion. */
export function listen(canvas: HTMLElement, actor: Actor, calm: () => boolean): void {
  const throwing = new Throw(actor);
  const pointers = new Pointers(canvas, actor, throwing, calm);
  canvas.addEventListener("pointerdown", (event) => pointers.down(event));
  canvas.addEventListener("pointermove", (event) => pointers.move(event));
  for (const name of ["pointerup", "pointercancel"] as const) canvas.addEventListener(name, (event) => pointers.up(event));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    // A page that is scrolled must not stop at the viewer, so the wheel is for the page until the visitor has clicked here.
    if (!event.ctrlKey && !canvas.matches(":focus")) return;
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 * event.deltaY : event.deltaY;
    actor.zoom(2 ** (-pixels / (event.ctrlKey ? 100 : 400)));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const act = keyAction(event, actor);
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    throwing.stop();
    act();
  });
}

function keyAction({ key, shiftKey }: KeyboardEvent, actor: Actor): (() => void) | undefined {
  const arrow = (right: number, down: number) => () => {
    if (shiftKey) actor.pan(KEY_PAN * right, KEY_PAN * down);
    else actor.turn(-KEY_TURN * right, KEY_TURN * down);
  };
  const actions: Record<string, () => void> = {
    ArrowLeft: arrow(-1, 0),
    ArrowRight: arrow(1, 0),
    ArrowUp: arrow(0, -1),
    ArrowDown: arrow(0, 1),
    "+": () => actor.zoom(KEY_ZOOM),
    "=": () => actor.zoom(KEY_ZOOM),
    "-": () => actor.zoom(1 / KEY_ZOOM),
    Home: () => actor.reset(),
    " ": () => actor.play(),
    ",": () => actor.step(-1),
    ".": () => actor.step(1),
    f: () => actor.fullScreen(),
  };
  return actions[key];
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** One pointer turns, or moves the object with shift or another button than the first; two zoom and move it. */
class Pointers {
  private readonly held = new Map<number, Point>();
  private last = 0;

  constructor(
    private readonly canvas: HTMLElement, private readonly actor: Actor, private readonly throwing: Throw,
    private readonly calm: () => boolean,
  ) {}

  down(event: PointerEvent): void {
    this.throwing.stop();
    this.canvas.setPointerCapture(event.pointerId);
    this.held.set(event.pointerId, event);
  }

  move(event: PointerEvent): void {
    const before = this.held.get(event.pointerId);
    if (!before) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
    const others = [...this.held].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    this.held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (others.length === 1) {
      const spread = (point: Point) => Math.hypot(point.x - others[0].x, point.y - others[0].y) || 1;
      this.actor.zoom(spread({ x: event.clientX, y: event.clientY }) / spread(before));
      this.actor.pan(dx / 2 / height, dy / 2 / height);
    } else if (others.length === 0 && (event.shiftKey || event.buttons > 1)) {
      this.actor.pan(dx / height, dy / height);
    } else if (others.length === 0) {
      const turn: [number, number] = [(-dx / width) * A_TURN, ((dy / height) * A_TURN) / 2];
      this.actor.turn(...turn);
      this.throwing.speed(turn, event.timeStamp - this.last);
      this.last = event.timeStamp;
    }
  }

  up(event: PointerEvent): void {
    const held = this.held.delete(event.pointerId);
    if (held && this.held.size === 0 && event.timeStamp - this.last < 60 && !this.calm()) this.throwing.start();
  }
}

/** An object that is let go while it turns goes on turning, more and more slowly. */
class Throw {
  private velocity: [number, number] = [0, 0];
  private frame = 0;

  constructor(private readonly actor: Actor) {}

  speed([right, up]: [number, number], milliseconds: number): void {
    const inverse = 1 / Math.max(milliseconds, 8);
    this.velocity = [right * inverse, up * inverse];
  }

  start(): void {
    let before = performance.now();
    const go = (now: number) => {
      const passed = Math.min(now - before, 100);
      before = now;
      const left = (1 - FRICTION) ** (passed / 1000);
      this.velocity = [this.velocity[0] * left, this.velocity[1] * left];
      if (Math.hypot(...this.velocity) < 1e-5) return;
      this.actor.turn(this.velocity[0] * passed, this.velocity[1] * passed);
      this.frame = requestAnimationFrame(go);
    };
    this.frame = requestAnimationFrame(go);
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.velocity = [0, 0];
  }
}
