/**
 * How a disk format is taken apart. A parser is a generator: it asks for the bytes of the file it
 * needs, in any order, checks every entry of every table, and says what stands where. It never sees
 * where bytes come from, so the same code inspects a file (`_parse-source.ts` jumps to what is asked
 * for), inspects and imports a stream that cannot seek (`_parse-stream.ts` waits for what is asked
 * for), and gives random access to a stored image (`open-disk.ts`).
 *
 * A parser takes nothing on trust: it asks only within limits, and it announces only extents that it
 * has checked. What is wrong it reports as findings; on the first thing that makes the rest
 * meaningless it stops. Parsers stand in `parsers/`, and `parsers.ts` lists them.
 */
import { TiB } from '../base/units.ts'
import type { Fields } from '../bytes/fields.ts'
import type { FindingCode, Severity } from './finding.ts'

/** Formats in which a guest's disk can stand. */
export type DiskFormatName = 'raw' | 'qcow2' | 'vhd' | 'vhdx' | 'vmdk' | 'vdi' | 'iso'

/**
 * Bytes of the file a parser wants next. At most `MAX_ASK`; larger tables are asked for in parts.
 * Any order works; but what stands in a stream before the table that tells what it is has to be put
 * aside, so tables whose places are known are best asked for in the order in which they stand.
 */
export interface Ask {
  /** Offset in the file; negative counts from its end (at most `MAX_TAIL` back), and waits for that. */
  readonly at: number
  readonly length: number
  /** What it is, for findings and failures: `L2 table`. */
  readonly name: string
  readonly order?: 'little' | 'big'
}

export const MAX_ASK = 1024 * 1024
/** How much of the end of a stream is kept. */
export const MAX_TAIL = 4096

/**
 * A run of the guest's disk and where the file keeps it. What is not announced reads as zeros.
 * `data` may have the length Infinity: everything up to the end of the file (or of the disk).
 */
export type Extent =
  | {
      readonly kind: 'data'
      readonly guest: number
      readonly length: number
      readonly host: number
    }
  | {
      readonly kind: Packing
      readonly guest: number
      /** What it must unpack to, exactly (a cluster). */
      readonly length: number
      readonly host: number
      /** Bytes of the payload; trailing bytes that are not part of it are allowed. */
      readonly hostLength: number
      /**
       * For the last cluster of a disk that ends inside it, which some writers pad and others do not:
       * it may unpack to as much as this, and what is more than `length` is dropped.
       */
      readonly room?: number
    }

/** `deflate`: raw, 12-bit window (qcow2). `zlib`: with its header and check sum (VMDK). */
export type Packing = 'deflate' | 'zlib' | 'zstd'

/** What stands in the file and is neither free nor data. */
export interface ParsedDisk {
  /** Bytes the guest sees. */
  readonly virtualSize: number
}

/** What a parser is given. */
export interface Parsing {
  /** Bytes of the file, or undefined while it is a stream that has not ended. */
  readonly fileSize: number | undefined
  readonly limits: Limits
  /** Records a finding (its usual severity, from the table, unless said otherwise) and goes on. */
  note(code: FindingCode, about: About): void
  /** Records a finding after which nothing more can be learned, and ends the parser. */
  stop(code: FindingCode, about: About): never
  /**
   * Says that `what` stands at these bytes of the file. False, with a finding OVERLAP that points to
   * `from` (the entry that says so), when something else stands there already; whatever it is must
   * then be neither asked for nor announced. That it lies behind the end of the file is found by
   * itself (TRUNCATED, also pointing to `from`).
   */
  claim(host: number, length: number, what: string, from: number): boolean
  /** Says where a part of the guest's disk is kept. Its host range must have been claimed. */
  announce(extent: Extent): void
}

export interface About {
  readonly at?: number
  readonly found?: string
  readonly expected?: string
  readonly severity?: Severity
}

/** Bounds on what is believed before anything is reserved. */
export interface Limits {
  /** Bytes of a guest's disk. */
  readonly virtualSize: number
  /** Bytes that may come out of a compressed file. */
  readonly unpackedSize: number
  /** Milliseconds that an inspection may take. */
  readonly timeMs: number
}

/** What is believed of an image that nobody vouches for. */
export const DEFAULT_LIMITS: Limits = {
  virtualSize: 64 * TiB,
  unpackedSize: 8 * TiB,
  timeMs: 600_000,
}

/** A parser at work: asks, is given exactly what it asked for, returns what it learned. */
export type Parse = Asking<ParsedDisk>

/** A part of a parser, which finds out something of its own. */
export type Asking<Result> = Generator<Ask, Result, Fields>

/** One format, as `parsers.ts` lists it. */
export interface DiskParser {
  readonly name: DiskFormatName
  readonly summary: string
  parse(parsing: Parsing): Parse
}
