// A bundle is decoded from its bytes alone.

import { sha256 } from "@noble/hashes/sha2.js";
import { readBackground, STREAMS, type StreamTag } from "./background";
import { type Cameras, readCameras } from "./cameras";
import { Decoder } from "./coder";
import { readSections } from "./container";
import { type Filter, readFilter } from "./filter";
import { readTables } from "./grid";
import { checkNetwork } from "./hinerv";
import { type Metadata, readMetadata } from "./metadata";
import { type Occupancy, readOccupancy, sumsOf } from "./occupancy";
import { demand } from "./refused";
import { readSpec, type Spec } from "./spec";
import { contextShapes, headShapes, type Layer, readLayers } from "./weights";

export interface Bundle {
  readonly spec: Spec;
  readonly cameras: Cameras;
  readonly occupancy: Occupancy;
  /** These are the layers density.0, density.1, color.0, ... */
  readonly heads: readonly Layer[];
  /** The frames of the clip pass through this filter, if there is one. */
  readonly filter: Filter | null;
  /** The tables are in coding order, each with its values -1, 0, +1, features fastest. */
  readonly tables: readonly Int8Array[];
  /** The background is a stream in PC mode, else null; its section tells the codec. */
  readonly background: Uint8Array | null;
  readonly codec: StreamTag | null;
  /** PC mode's background is a network, which the viewer does not paint. */
  readonly painted: boolean;
  /** The film has a residual, which the viewer does not show. */
  readonly residual: boolean;
  readonly metadata: Metadata;
}

/** What shaders are made of is known before the tables are. */
export type Recipe = Pick<Bundle, "spec" | "heads" | "filter">;

/** A listener hears of a bundle while it is decoded: first of the recipe, then of the share of the work that is done. */
export interface Listener {
  recipe?(known: Recipe): void;
  progress?(share: number): void;
}

/** Return what a bundle holds. Throws Refused, with the reason. */
export function decode(data: Uint8Array, listener: Listener = {}): Bundle {
  const sections = readSections(data);
  const part = (tag: string) => sections.get(tag)!;
  const spec = readSpec(part("SPEC"));
  demand(part("HASH").length === 8, "section HASH is not of eight bytes");
  const codec = STREAMS.find((tag) => sections.has(tag)) ?? null;
  const background = codec && readBackground(part(codec), codec, spec.frames).slice();
  const maybe = (tag: string) => (sections.has(tag) ? new Decoder(part(tag)) : null);
  const cameras = readCameras(new Decoder(part("CAMS")), { zooms: maybe("ZOOM"), tints: maybe("TINT") }, spec.frames);
  const network = sections.get("HNRV");
  demand([...STREAMS, "HNRV"].filter((tag) => sections.has(tag)).length < 2, "there are two backgrounds");
  if (network) checkNetwork(new Decoder(network), spec.frames, cameras.camera.width, cameras.camera.height);
  const mixed = sections.has("VOXL");
  const occupancy = readOccupancy(new Decoder(part(mixed ? "VOXL" : "OCCU")), spec.occupancy, mixed);
  const heads = readLayers(new Decoder(part("HEAD")), headShapes(spec));
  const filt = maybe("FILT");
  const filter = filt && readFilter(filt);
  listener.recipe?.({ spec, heads, filter });
  const contexts = readLayers(new Decoder(part("CTXT")), contextShapes(spec));
  const grid = part("GRID");
  const progress = (share: number) => listener.progress?.(share);
  const tables = readTables(new Decoder(grid), spec, sumsOf(occupancy), contexts, grid.length, progress);
  const digest = symbolHash(tables);
  demand(part("HASH").every((byte, i) => byte === digest[i]), "the decoded signs are not those that were written");

  const painted = network !== undefined;
  const metadata = readMetadata(sections.get("meta"));
  const residual = sections.has("resi");
  return { spec, cameras, occupancy, heads, filter, tables, background, codec, painted, residual, metadata };
}

/** Return SHA-256 over all tables' values. */
export function symbolHash(tables: readonly Int8Array[]): Uint8Array {
  const hash = sha256.create();
  for (const table of tables) hash.update(new Uint8Array(table.buffer, table.byteOffset, table.byteLength));
  return hash.digest();
}
