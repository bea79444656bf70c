// Tests take bundles apart and put them together again, with right checksums.

const HEADER = 12;

export function crc32(data) {
  let rest = 0xffffffff;
  for (const byte of data) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  }
  return (rest ^ 0xffffffff) >>> 0;
}

/** Return the sections of a sound bundle. */
export function sectionsOf(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const found = [];
  for (let at = HEADER; at < data.length; ) {
    const length = view.getUint32(at + 4, true);
    found.push({ tag: String.fromCharCode(...data.subarray(at, at + 4)), payload: data.slice(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return found;
}

/** Return a bundle of sections behind the header of another. */
export function joined(data, parts) {
  const pieces = [data.subarray(0, HEADER)];
  for (const { tag, payload } of parts) {
    const body = new Uint8Array(8 + payload.length);
    body.set([...tag].map((letter) => letter.charCodeAt(0)));
    new DataView(body.buffer).setUint32(4, payload.length, true);
    body.set(payload, 8);
    const sum = new Uint8Array(4);
    new DataView(sum.buffer).setUint32(0, crc32(body), true);
    pieces.push(body, sum);
  }
  return new Uint8Array(Buffer.concat(pieces));
}
