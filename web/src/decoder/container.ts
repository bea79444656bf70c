// The container is a magic, a version and checked sections (FORMAT.md, section 1).

import { demand } from "./refused";

const MAGIC = [0x89, 0x4e, 0x53, 0x45, 0x4d, 0x0d, 0x0a, 0x1a];
const HEADER = 12;
const FIELD = ["SPEC", "CAMS", "HEAD", "CTXT", "GRID", "HASH"];
const OCCUPANCIES = ["OCCU", "VOXL"];
const KNOWN = [...FIELD, ...OCCUPANCIES, "ZOOM", "TINT", "FILT", "BACK", "HEVC", "OBUS", "HNRV", "ENDS"];

export type Sections = Map<string, Uint8Array>;

/** Return the payloads of all sections by tag. Throws Refused for what is no whole bundle of version 1. */
export function readSections(data: Uint8Array): Sections {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  checkHeader(view);
  const sections: Sections = new Map();
  let position = HEADER;
  for (let tag = ""; tag !== "ENDS"; ) {
    demand(position + 8 <= data.length, "the file ends early");
    tag = String.fromCharCode(...data.subarray(position, position + 4));
    const end = position + 8 + view.getUint32(position + 4, true);
    demand(end + 4 <= data.length, "the file ends early");
    demand(crc32(data.subarray(position, end)) === view.getUint32(end, true), "a checksum does not fit: the file is damaged");
    demand(/^[A-Za-z]{4}$/.test(tag), "a section's tag is not of letters");
    demand(!sections.has(tag), `section ${tag} occurs twice`);
    demand(KNOWN.includes(tag) || /^[a-z]/.test(tag), `section ${tag} is of a newer version`);
    sections.set(tag, data.subarray(position + 8, end));
    position = end + 4;
  }
  demand(position === data.length && sections.get("ENDS")!.length === 0, "bytes follow the end");
  for (const tag of FIELD) demand(sections.has(tag), `section ${tag} is missing`);
  demand(OCCUPANCIES.filter((tag) => sections.has(tag)).length === 1, "there is not one occupancy grid");
  return sections;
}

function checkHeader(view: DataView): void {
  for (let i = 0; i < MAGIC.length && i < view.byteLength; i++) {
    demand(view.getUint8(i) === MAGIC[i], "this is no .nsem file");
  }
  demand(view.byteLength >= HEADER, "the file ends early");
  const version = view.getUint16(8, true);
  demand(version === 1, `this is a bundle of version ${version}; the viewer reads version 1`);
  demand(view.getUint16(10, true) === 0, "the bundle has flags that the viewer does not know");
}

const CRC_TABLE = new Int32Array(256).map((_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/** Return the CRC-32 of ISO 3309 as an unsigned number. */
export function crc32(data: Uint8Array): number {
  let rest = -1;
  for (let i = 0; i < data.length; i++) rest = CRC_TABLE[(rest ^ data[i]) & 255] ^ (rest >>> 8);
  return (rest ^ -1) >>> 0;
}
