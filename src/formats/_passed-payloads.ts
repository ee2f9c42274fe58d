import { KiB, SECTOR } from '../base/units.ts'
import type { Spool } from './_spool.ts'

/** Shared sectors that are remembered: 32 MiB of them. */
const MAX_SECTORS = 64 * KiB
const SLAB = 1024

/** Bytes of the file in one piece. */
export interface Stretch {
  readonly host: number
  readonly bytes: Uint8Array
}

/**
 * What is still known of compressed clusters that have passed. They stand side by side at any byte, so
 * neighbours share the sector in which one ends and the next begins; and when the table of one comes
 * later than that of the other, both have long passed. So the last payload is kept whole, and of many
 * before it the sectors in which they begin and end.
 */
export class PassedPayloads {
  readonly #most: number
  #last: Stretch | undefined
  /** The slot of a sector; oldest first. */
  readonly #slots = new Map<number, number>()
  readonly #slabs: Buffer[] = []
  /** Where in its sector each slot begins; it goes on to where a payload ends. */
  readonly #from: Uint16Array
  readonly #to: Uint16Array
  #forgotten = false

  constructor(most: number = MAX_SECTORS) {
    this.#most = most
    this.#from = new Uint16Array(most)
    this.#to = new Uint16Array(most)
  }

  /** Whether anything is not known any more. */
  get forgotten(): boolean {
    return this.#forgotten
  }

  /** A payload has passed. Its bytes are looked at, never written. */
  add(payload: Stretch): void {
    const { host, bytes } = payload
    const end = host + bytes.length
    if (this.#last === undefined || this.#last.host + this.#last.bytes.length < end)
      this.#last = payload
    if (bytes.length === 0) return
    const [first, last] = [Math.floor(host / SECTOR), Math.floor((end - 1) / SECTOR)]
    this.#keep(first, payload)
    if (last !== first) this.#keep(last, payload)
  }

  /** What is known from byte `at` on; undefined if that byte is not. */
  read(at: number): Uint8Array | undefined {
    return partOf(this.#last, at) ?? this.#readSector(at)
  }

  /**
   * The bytes of a payload that have passed: put aside, or, where it shares sectors, part of its
   * neighbours, of which the `current` one may not be all there yet. `aside`: how many were put aside.
   */
  async collect(
    { host, length }: { host: number; length: number },
    spool: Spool,
    current: Stretch | undefined,
  ): Promise<{ bytes: Buffer; aside: number; isWhole: boolean }> {
    const bytes = Buffer.alloc(length)
    let aside = 0
    for (let done = 0; done < length;) {
      const at = host + done
      const held = Math.min(length - done, spool.held(at))
      const part = held > 0 ? await spool.read(at, held) : (partOf(current, at) ?? this.read(at))
      if (part === undefined) return { bytes, aside, isWhole: false }
      bytes.set(part.subarray(0, length - done), done)
      aside += held
      done += Math.min(part.length, length - done)
    }
    return { bytes, aside, isWhole: true }
  }

  #readSector(at: number): Uint8Array | undefined {
    const sector = Math.floor(at / SECTOR)
    const slot = this.#slots.get(sector)
    if (slot === undefined) return undefined
    const inside = at - sector * SECTOR
    const to = this.#to[slot] ?? 0
    if (inside < (this.#from[slot] ?? SECTOR) || inside >= to) return undefined
    return this.#bytesOf(slot).subarray(inside, to)
  }

  /** Keeps what a payload has of a sector, unless more of it is kept already. */
  #keep(sector: number, { host, bytes }: Stretch): void {
    const start = sector * SECTOR
    const from = Math.max(0, host - start)
    const to = Math.min(SECTOR, host + bytes.length - start)
    let slot = this.#slots.get(sector)
    if (slot !== undefined && from >= (this.#from[slot] ?? 0)) return
    slot ??= this.#newSlot()
    this.#slots.set(sector, slot)
    this.#from[slot] = from
    this.#to[slot] = to
    this.#bytesOf(slot).set(bytes.subarray(start + from - host, start + to - host), from)
  }

  #newSlot(): number {
    if (this.#slots.size < this.#most) return this.#slots.size
    const [oldest, slot] = this.#slots.entries().next().value ?? [0, 0]
    this.#slots.delete(oldest)
    this.#forgotten = true
    return slot
  }

  #bytesOf(slot: number): Buffer {
    const slab = Math.floor(slot / SLAB)
    const buffer = (this.#slabs[slab] ??= Buffer.alloc(SLAB * SECTOR))
    const at = (slot % SLAB) * SECTOR
    return buffer.subarray(at, at + SECTOR)
  }
}

/** The bytes of a stretch from byte `at` of the file on; undefined if they are not in it. */
function partOf(stretch: Stretch | undefined, at: number): Uint8Array | undefined {
  if (stretch === undefined) return undefined
  const inside = at - stretch.host
  if (inside < 0 || inside >= stretch.bytes.length) return undefined
  return stretch.bytes.subarray(inside)
}
