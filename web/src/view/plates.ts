// The background of PC bundles is a stream, which the browser's own decoder plays along the film (FORMAT.md, section 9).

import type { StreamTag } from "../decoder/background";
import { cut } from "./streams";

/** So many pictures are kept ahead: decoders have few buffers. */
const KEPT = 6;
const AHEAD = 24;

/** Plates are the pictures of a background, of which those around the wanted one are kept. */
export class Plates {
  /** These pictures were decoded and wait to be asked for. */
  private readonly kept = new Map<number, VideoFrame>();
  /** This one was asked for last; it is valid until the next one is. */
  private lent: { index: number; picture: VideoFrame } | null = null;
  private decoder: VideoDecoder | null = null;
  private wanted = 0;
  private fed = 0;
  private next = 0;
  private failed = false;

  private constructor(
    private readonly pictures: EncodedVideoChunkInit[], private readonly config: VideoDecoderConfig,
    private readonly changed: () => void,
  ) {}

  /** Return the plates of a stream of `frames` pictures, or null where this browser cannot play it. */
  static async open(stream: Uint8Array, tag: StreamTag, frames: number, changed: () => void): Promise<Plates | null> {
    const { name: codec, pictures } = cut(stream, tag);
    if (!("VideoDecoder" in globalThis) || codec === null || pictures.length !== frames) return null;
    const config: VideoDecoderConfig = { codec, optimizeForLatency: true };
    const { supported } = await VideoDecoder.isConfigSupported(config).catch(() => ({ supported: false }));
    return supported ? new Plates(pictures, config, changed) : null;
  }

  /** Return the picture of a frame, or null while it is being decoded; `changed` tells when to ask again. */
  get(index: number): VideoFrame | null {
    if (this.lent?.index === index) return this.lent.picture;
    this.wanted = index;
    const picture = this.kept.get(index);
    if (picture) {
      this.kept.delete(index);
      this.lent?.picture.close();
      this.lent = { index, picture };
    } else if (!this.decoder || index < this.next || index > this.fed + AHEAD) {
      this.restart();
    }
    this.feed();
    return picture ?? null;
  }

  /** Return whether the browser's decoder gave up, and there is nothing to wait for. */
  get broken(): boolean {
    return this.failed;
  }

  close(): void {
    this.stop();
    this.lent?.picture.close();
    this.lent = null;
  }

  private feed(): void {
    this.drop((index) => index < this.wanted);
    while (!this.failed && this.fed < this.pictures.length && this.fed <= this.wanted + AHEAD) {
      const { decoder } = this;
      if (decoder?.state !== "configured" || decoder.decodeQueueSize >= KEPT || this.kept.size >= KEPT) return;
      decoder.decode(new EncodedVideoChunk(this.pictures[this.fed++]));
      if (this.fed === this.pictures.length) decoder.flush().catch(() => {});
    }
  }

  private stop(): void {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.drop(() => true);
  }

  /** Begin at the last key picture before the wanted one. */
  private restart(): void {
    this.stop();
    let start = this.wanted;
    while (start > 0 && this.pictures[start].type !== "key") start--;
    this.fed = this.next = start;
    const decoder = new VideoDecoder({
      output: (picture) => this.receive(decoder, picture),
      error: () => {
        this.failed = decoder === this.decoder;
        this.changed();
      },
    });
    this.decoder = decoder;
    decoder.configure(this.config);
    decoder.addEventListener("dequeue", () => decoder === this.decoder && this.feed());
  }

  /** Pictures come out in the order in which they are shown. */
  private receive(decoder: VideoDecoder, picture: VideoFrame): void {
    if (decoder !== this.decoder) return picture.close();
    const index = this.next++;
    if (index < this.wanted) return picture.close();
    this.kept.set(index, picture);
    if (index === this.wanted) this.changed();
  }

  private drop(unwanted: (index: number) => boolean): void {
    for (const [index, picture] of this.kept) {
      if (!unwanted(index)) continue;
      picture.close();
      this.kept.delete(index);
    }
  }
}
