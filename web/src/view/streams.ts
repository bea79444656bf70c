// A background's stream is cut into the pictures that the browser's decoder takes one by one (FORMAT.md, section 9).

import type { StreamTag } from "../decoder/background";

/** A picture begins at a byte of its stream; playing may begin at a key picture. */
interface Beginning {
  from: number;
  key: boolean;
}

/** A cut stream has a name by which browsers know its codec; null where no decoder could begin with the first picture. */
export interface Cut {
  name: string | null;
  pictures: EncodedVideoChunkInit[];
}

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** NAL units have a header of one byte or two, in the first of which is their type. */
interface Syntax {
  header: number;
  parameters: number;
  type(byte: number): number;
  slice(type: number): boolean;
  key(type: number): boolean;
  name(unit: Uint8Array): string;
}

const NAL: Record<"BACK" | "HEVC", Syntax> = {
  BACK: {
    header: 1, parameters: 7, type: (byte) => byte & 31, slice: (type) => type === 1 || type === 5,
    key: (type) => type === 5, name: (unit) => `avc1.${hex(unit.subarray(1, 4))}`,
  },
  HEVC: {
    header: 2, parameters: 33, type: (byte) => (byte >> 1) & 63, slice: (type) => type < 32,
    key: (type) => type >= 16, name: (unit) => `hev1.1.6.L${plain(unit)[14]}.B0`,
  },
};

/** Return a NAL unit without the bytes that keep start codes out of it. */
function plain(unit: Uint8Array): Uint8Array {
  return unit.filter((byte, i) => !(byte === 3 && i > 1 && unit[i - 1] === 0 && unit[i - 2] === 0));
}

/** Parameter sets belong to the picture after them. A slice whose first bit is 1 begins a picture. */
function cutUnits(stream: Uint8Array, syntax: Syntax): { name: string | null; starts: Beginning[] } {
  const starts: Beginning[] = [];
  let [from, name]: [number, string | null] = [-1, null];
  for (let at = 0; at + 4 < stream.length; at++) {
    if (stream[at] || stream[at + 1] || stream[at + 2] !== 1) continue;
    const type = syntax.type(stream[at + 3]);
    const first = syntax.slice(type) && stream[at + 3 + syntax.header] > 127;
    if (type === syntax.parameters) name ??= syntax.name(stream.subarray(at + 3, at + 40));
    if (from < 0 && (!syntax.slice(type) || first)) from = at;
    if (!first) continue;
    starts.push({ from, key: syntax.key(type) });
    from = -1;
  }
  return { name, starts };
}

/** A temporal delimiter (type 2) begins a picture, which is a key picture if a sequence header (type 1) is next. */
function cutObus(stream: Uint8Array): { name: string | null; starts: Beginning[] } {
  const starts: Beginning[] = [];
  let name: string | null = null;
  for (let at = 0; at < stream.length; ) {
    const type = (stream[at] >> 3) & 15;
    let [size, shift, body] = [0, 0, at + 1];
    do size += (stream[body] & 127) * 2 ** shift; while (stream[body++] > 127 && (shift += 7) < 56);
    if (type === 2) starts.push({ from: at, key: false });
    if (type === 1 && starts.length) {
      starts[starts.length - 1].key = true;
      name ??= `av01.${stream[body] >> 5}.${`${stream[body + 3] >> 3}`.padStart(2, "0")}M.08`;
    }
    at = body + size;
  }
  return { name, starts };
}

/** Return a stream's pictures and its codec. */
export function cut(stream: Uint8Array, tag: StreamTag): Cut {
  const { name, starts } = tag === "OBUS" ? cutObus(stream) : cutUnits(stream, NAL[tag]);
  const pictures = starts.map(({ from, key }, i): EncodedVideoChunkInit => ({
    type: key ? "key" : "delta",
    timestamp: i,
    data: stream.subarray(from, starts[i + 1]?.from ?? stream.length) as Uint8Array<ArrayBuffer>,
  }));
  return { name: starts[0]?.key ? name : null, pictures };
}
