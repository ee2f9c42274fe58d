/** One line of the comparison: what is measured, on each server, and what was promised of it. */
import type { Bar } from '../report.ts'
import type { Client } from './client.ts'
import type { Material } from './material.ts'

/** Figures of one measurement, by name; of several, the median of each. */
export type Figures = Readonly<Record<string, number>>

export interface Scale {
  /** Of a measurement of requests. */
  readonly seconds: number
  /** Of images with data everywhere, of those with little, and of the disk whose views are asked for: bytes. */
  readonly dense: number
  readonly sparse: number
  readonly disk: number
}

/** What a measurement works on. */
export interface Bench {
  readonly client: Client
  readonly scale: Scale
  readonly material: Material
  /** A thousand images; made once on each server. */
  images(): Promise<readonly string[]>
  /** Starts another Ingot, with nothing in its directory, and ends it: the milliseconds until it answers. */
  startAnother(): Promise<number>
}

export interface Row {
  /** For `--only`. */
  readonly key: string
  readonly what: string
  /** Glance cannot take part: it has no such thing, or stands no such load. */
  readonly alone?: true
  measure(bench: Bench): Promise<Figures>
  /** Figures as people read them; the first is the one that is compared. */
  show(figures: Figures): string
  /** How many times better `ours` is. */
  ratio(ours: Figures, peer: Figures): number
  /** Processor time of the server for one unit of the work; for busy machines, whose wall times say little. */
  cpu?(figures: Figures): number
  /** `peer`: undefined when Glance did not take part. */
  bars(ours: Figures, peer: Figures | undefined): Bar[]
}
