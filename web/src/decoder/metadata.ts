// The section `meta` is archival metadata, Dublin Core as JSON (FORMAT.md, section 10). Pictures need none of it.

const ELEMENTS = [
  "title", "creator", "subject", "description", "publisher", "contributor", "date", "type", "format", "identifier", "source",
  "language", "relation", "coverage", "rights", "encoder",
];

export type Metadata = Record<string, string>;

/** Return the record, empty where it is malformed: that is no reason to show nothing. */
export function readMetadata(payload: Uint8Array | undefined): Metadata {
  if (!payload || payload.length > 65536) return {};
  let found: unknown;
  try {
    found = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    return {};
  }
  if (typeof found !== "object" || found === null) return {};
  const record = found as Record<string, unknown>;
  const texts = ELEMENTS.filter((name) => typeof record[name] === "string");
  return Object.fromEntries(texts.map((name) => [name, record[name] as string]));
}
