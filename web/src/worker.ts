// Decoding happens in a worker, so that a page stays alive meanwhile.

import { decode } from "./decoder/bundle";
import { Refused } from "./decoder/refused";
import { spaceOf } from "./render/space";
import type { Answer } from "./view/loader";

interface Port {
  onmessage: (event: MessageEvent<Uint8Array>) => void;
  postMessage(answer: Answer, moved?: Transferable[]): void;
}

const port = self as unknown as Port;

port.onmessage = ({ data }) => {
  try {
    const bundle = decode(data, {
      recipe: (recipe) => port.postMessage({ recipe }),
      progress: (progress) => port.postMessage({ progress }),
    });
    const space = spaceOf(bundle.occupancy);
    const moved = [...bundle.tables.map((table) => table.buffer), space.distances.buffer] as ArrayBuffer[];
    port.postMessage({ decoded: { bundle, space } }, moved);
  } catch (error) {
    port.postMessage({ refused: error instanceof Refused ? error.message : `the viewer failed: ${error}` });
  }
};
