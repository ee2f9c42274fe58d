import { isFailure } from '../base/failure.ts'
import { KiB } from '../base/units.ts'
import { type Claim, endingOf, parseClaim, type StreamPacking } from './_claim.ts'
import { decide, type Level } from './_decide.ts'
import { detect, type Ends, HEAD, TAIL } from './_detect.ts'
import { FindingList } from './_findings.ts'
import { GceWalk } from './_gce.ts'
import { checkGuest, checkRaw } from './_guest-content.ts'
import {
  descends,
  type Job,
  nameOf,
  noteVirtualSize,
  type Outcome,
  parserFor,
  wholeSectors,
} from './_inspection-job.ts'
import { KeptDisk } from './_kept-disk.ts'
import { parseSource } from './_parse-source.ts'
import { StreamParse } from './_parse-stream.ts'
import { openUnpacker } from './_unpack.ts'
import { FINDINGS, type FindingCode } from './finding.ts'
import { type DiskSink, OvaWalk } from './ova.ts'
import type { DiskParser } from './parser.ts'
import { loadParser } from './parsers.ts'
import type { TarMember } from './tar.ts'

/** A stream is looked at in steps of this size, whatever the chunks in which it comes. */
const CLOCK_EVERY = 256 * KiB

/** What becomes of the bytes once the head has told what they probably are. */
interface Track {
  readonly format: string
  push(chunk: Uint8Array): Promise<void>
  /** Nothing follows: what the content is, as far as this track can tell. */
  end(): Promise<Outcome>
  /** Whether what is still to come cannot change the verdict. */
  readonly decided?: boolean
  close(): Promise<void>
}

/**
 * Inspects content as it passes by, in one pass, with the same answer however it is cut into chunks.
 * The head decides which parser goes to work; the end can still say that it was another format.
 */
export class StreamInspection implements AsyncDisposable {
  readonly #job: Job
  readonly #level: Level
  readonly #kept = new KeptDisk()
  #head: Buffer[] = []
  #size = 0
  #track: Track | undefined
  #stopped = false
  #sinceClock = 0

  constructor(job: Job, level: Level = { claim: job.claim, unpacked: false }) {
    this.#job = job
    this.#level = level
  }

  /** Whether what is still to come cannot change the verdict. */
  get decided(): boolean {
    return this.#stopped || (this.#track?.decided ?? false)
  }

  /** The next bytes. They may be reused when this is done. */
  async push(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return
    const before = this.#size
    this.#kept.write(before, chunk)
    this.#size += chunk.length
    if (this.#stopped) return
    this.#checkClock(chunk.length)
    await this.#guard(async () => {
      if (this.#track) return await this.#track.push(chunk)
      this.#head.push(Buffer.from(chunk))
      if (this.#size >= HEAD) await this.#begin()
    })
  }

  /** The stream has ended. */
  async end(): Promise<Outcome> {
    const { findings, claim } = this.#job
    if (this.#size === 0) {
      findings.note('EMPTY', { found: 'no bytes' })
      return { format: claim?.text ?? 'raw' }
    }
    const ends = await this.#ends()
    const decision = decide(detect(ends), this.#level, findings, ends.head)
    let outcome: Outcome = { format: nameOf(decision) }
    await this.#guard(async () => {
      if (!this.#track) await this.#begin()
      if (decision.kind === 'raw') outcome = await this.#endRaw(decision.format)
      else if (decision.format === 'vhd' && this.#track?.format !== 'vhd')
        outcome = await this.#endFixedVhd()
      else if (this.#track) outcome = await this.#track.end()
    })
    return outcome
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    await this.#track?.close()
  }

  async #ends(): Promise<Ends> {
    const file = this.#kept.toSource('stream', this.#size)
    const head = await file.read(0, Math.min(HEAD, this.#size))
    const tail = await file.read(Math.max(0, this.#size - TAIL), Math.min(TAIL, this.#size))
    return { head, tail, size: this.#size }
  }

  /** Chooses by the head alone who takes the bytes from here on, and gives them what came. */
  async #begin(): Promise<void> {
    const bytes = Buffer.concat(this.#head)
    this.#head = []
    const head = bytes.subarray(0, HEAD)
    const matches = detect({ head, tail: new Uint8Array(0), size: head.length })
    const decision = decide(matches, this.#level, new FindingList(), head)
    const parser = await parserFor(decision)
    if (parser) this.#track = parserTrack(parser, this.#job)
    else if (descends(decision, this.#level))
      this.#track =
        decision.kind !== 'archive'
          ? packedTrack(decision.format as StreamPacking, this.#job)
          : this.#level.unpacked
            ? gceTrack(this.#job)
            : archiveTrack(this.#job)
    else if (decision.kind === 'raw') this.#track = rawTrack(decision.format, this.#job)
    else this.#track = idleTrack(decision.format)
    await this.#track.push(bytes)
  }

  async #endRaw(format: string): Promise<Outcome> {
    const disk = this.#kept.toSource('stream', this.#size)
    noteVirtualSize(this.#size, this.#job)
    const partitions = await checkRaw(disk, format, this.#job.findings)
    return { format, virtualSize: wholeSectors(this.#size), partitions }
  }

  /** Only the end told that it is one; everything it needs is at the end. */
  async #endFixedVhd(): Promise<Outcome> {
    const { findings, limits, now } = this.#job
    const parser = await loadParser('vhd')
    if (!parser) return { format: 'vhd' }
    const file = this.#kept.toSource('stream', this.#size)
    const { disk, findings: found, safe } = await parseSource(parser, file, { limits, now })
    for (const finding of found) findings.add(finding)
    if (!disk) return { format: 'vhd' }
    const { virtualSize } = disk
    const partitions = safe
      ? await checkGuest(this.#kept.toSource('stream', virtualSize), findings)
      : undefined
    return { format: 'vhd', virtualSize, partitions }
  }

  #checkClock(length: number): void {
    this.#sinceClock += length
    if (this.#sinceClock < CLOCK_EVERY) return
    this.#sinceClock = 0
    const { now, deadline, findings, limits } = this.#job
    if (now().getTime() <= deadline) return
    findings.note('LIMIT_REACHED', { found: `more than ${limits.timeMs} ms of work` })
    this.#stopped = true
  }

  /** What drivers throw about content is a finding, and the end of looking at it. */
  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!isFailure(error, 'IMAGE_UNSAFE')) throw error
      const { finding } = error.details
      const code: FindingCode =
        typeof finding === 'string' && finding in FINDINGS
          ? (finding as FindingCode)
          : 'CONTENT_DAMAGED'
      this.#job.findings.note(code, { found: error.message })
      this.#stopped = true
    }
  }
}

/** Nothing to take apart: what matters is at the ends. */
function idleTrack(format: string): Track {
  return {
    format,
    push: async () => {},
    end: async () => ({ format: nameOf({ format }) }),
    close: async () => {},
  }
}

/** The guest's disk as it is: there is nothing to take apart, but somebody may want it. */
function rawTrack(format: string, { guest }: Job): Track {
  let position = 0
  return {
    ...idleTrack(format),
    push: async (chunk) => {
      await guest?.write(position, chunk)
      position += chunk.length
    },
  }
}

/** A disk with tables; its guest's disk is kept as far as its partitions are concerned. */
function parserTrack(parser: DiskParser, job: Job): Track {
  const { limits, spool, now, findings } = job
  const guest = new KeptDisk()
  const write = (offset: number, bytes: Uint8Array) => {
    guest.write(offset, bytes)
    return job.guest?.write(offset, bytes)
  }
  const sink = { write }
  const parse = new StreamParse(parser, { limits, spool, now, sink })
  const format = parser.name
  return {
    format,
    push: (chunk) => parse.push(chunk),
    // Who only looks wants to see all that is wrong; who imports need not go on.
    get decided() {
      return job.guest !== undefined && parse.refused
    },
    end: async () => {
      const { disk, findings: found, safe, spooled } = await parse.end()
      for (const finding of found) findings.add(finding)
      if (!disk) return { format }
      const { virtualSize } = disk
      const isGuest = safe && format !== 'iso'
      const partitions = isGuest
        ? await checkGuest(guest.toSource('disk', virtualSize), findings)
        : undefined
      return { format, virtualSize, partitions, spooled }
    },
    close: () => parse[Symbol.asyncDispose](),
  }
}

/** What may be compressed, or is, without that being said. */
const IMPLIED: ReadonlySet<string> = new Set(['aki', 'ari', 'gce'])

/** A compressed stream; what comes out is inspected as it comes. */
function packedTrack(packing: StreamPacking, job: Job): Track {
  const inner = new StreamInspection(job, { claim: job.claim, unpacked: true, packing })
  const unpacker = openUnpacker(packing, {
    limits: job.limits,
    findings: job.findings,
    sink: async (chunk) => {
      await inner.push(chunk)
      if (inner.decided) unpacker.stop() // a little may unpack to very much
    },
  })
  const ending = endingOf(packing) ?? packing
  return {
    format: packing,
    push: (chunk) => unpacker.push(Buffer.from(chunk)), // it keeps what it is given for a while
    get decided() {
      return unpacker.stopped || inner.decided
    },
    end: async () => {
      if (!(await unpacker.end())) return { format: job.claim?.text ?? packing }
      const outcome = await inner.end()
      return {
        ...outcome,
        format: IMPLIED.has(outcome.format) ? outcome.format : `${outcome.format}.${ending}`,
      }
    },
    close: async () => {
      await unpacker.close()
      await inner[Symbol.asyncDispose]()
    },
  }
}

/** The archive in a gzip that Compute Engine imports; its disk comes in order, without its holes. */
function gceTrack({ findings, limits, guest }: Job): Track {
  const kept = new KeptDisk()
  const walk = new GceWalk({
    findings,
    virtualSize: limits.virtualSize,
    sink: {
      write: async (offset, bytes) => {
        kept.write(offset, bytes)
        await guest?.write(offset, bytes)
      },
    },
  })
  return {
    format: 'gce',
    push: (chunk) => walk.push(chunk),
    end: async () => {
      const size = walk.end()
      if (size === undefined || findings.refused) return { format: 'gce' }
      const disk = kept.toSource('disk', size)
      const partitions = await checkGuest(disk, findings)
      return { format: 'gce', virtualSize: wholeSectors(size), partitions }
    },
    close: async () => {},
  }
}

const VMDK: Claim = parseClaim('vmdk')

/** An archive, which must be an OVA; its disks are inspected as they come. */
function archiveTrack(job: Job): Track {
  const inspections: StreamInspection[] = []
  let first: Outcome | undefined
  const inspectDisk = (member: TarMember): DiskSink => {
    const guest = inspections.length === 0 ? job.guest : undefined
    const findings = new FindingList({ list: job.findings, at: member.at, name: member.name })
    const inner = new StreamInspection({ ...job, findings, guest }, { claim: VMDK, unpacked: true })
    inspections.push(inner)
    const sink = {
      result: undefined as Outcome | undefined,
      push: (chunk: Uint8Array) => inner.push(chunk),
      end: async () => {
        sink.result = await inner.end()
        first ??= sink.result
        await inner[Symbol.asyncDispose]()
      },
    }
    return sink
  }
  const walk = new OvaWalk({ findings: job.findings, inspectDisk })
  return {
    format: 'tar',
    push: (chunk) => walk.push(chunk),
    end: async () => {
      walk.end()
      const format = walk.hasDescriptor ? 'ova' : 'tar'
      return { format, virtualSize: first?.virtualSize, partitions: first?.partitions }
    },
    close: async () => {
      for (const inspection of inspections) await inspection[Symbol.asyncDispose]()
    },
  }
}
