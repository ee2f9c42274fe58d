import { isFailure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Source } from '../bytes/source.ts'
import { decide, type Level } from './_decide.ts'
import { detect } from './_detect.ts'
import { FindingList } from './_findings.ts'
import { checkGuest, checkRaw, readEnds } from './_guest-content.ts'
import {
  descends,
  type Job,
  nameOf,
  noteVirtualSize,
  type Outcome,
  parserFor,
  wholeSectors,
} from './_inspection-job.ts'
import { parseSource } from './_parse-source.ts'
import { ExtentTableBuilder } from './extent-table.ts'
import { type Disk, diskOf } from './open-disk.ts'
import type { DiskParser } from './parser.ts'

const STEP = 4 * MiB

/** Inspects a file that can be read anywhere; one that is packed or an archive as a stream. */
export async function inspectSource(source: Source, job: Job): Promise<Outcome> {
  const { claim, findings } = job
  if (source.size === 0) {
    findings.note('EMPTY', { found: 'a file of 0 bytes' })
    return { format: claim?.text ?? 'raw' }
  }
  const ends = await readEnds(source)
  const matches = detect(ends)
  const level: Level = { claim, unpacked: false }
  if (descends(decide(matches, level, new FindingList(), ends.head), level))
    return await inspectInOrder(source, job)
  const decision = decide(matches, level, findings, ends.head)
  const parser = await parserFor(decision)
  if (parser) return await inspectParsed(source, parser, job)
  if (decision.kind !== 'raw') return { format: nameOf(decision) }
  noteVirtualSize(source.size, job)
  const partitions = await checkRaw(source, decision.format, findings)
  return { format: decision.format, virtualSize: wholeSectors(source.size), partitions }
}

async function inspectInOrder(source: Source, job: Job): Promise<Outcome> {
  // Loaded when it is needed: what unpacks and reads archives is most of an inspection's code.
  const { StreamInspection } = await import('./_inspect-stream.ts')
  await using stream = new StreamInspection(job)
  for (let at = 0; at < source.size && !stream.decided; at += MiB)
    await stream.push(await source.read(at, Math.min(MiB, source.size - at)))
  return await stream.end()
}

async function inspectParsed(source: Source, parser: DiskParser, job: Job): Promise<Outcome> {
  const { findings, limits, now } = job
  const builder = new ExtentTableBuilder()
  const parsed = await parseSource(parser, source, {
    limits,
    now,
    onExtent: (extent) => builder.add(extent),
  })
  for (const finding of parsed.findings) findings.add(finding)
  const format = parser.name
  if (parsed.disk === undefined) return { format }
  const { virtualSize } = parsed.disk
  if (!parsed.safe || format === 'iso') return { format, virtualSize }
  const table = builder.toTable(virtualSize, source.size)
  const disk = diskOf(source, table, { format, findings: [] })
  if (!(await checkPacked(disk, job))) return { format, virtualSize }
  return { format, virtualSize, partitions: await checkGuest(disk, findings) }
}

/** Unpacks every compressed cluster; whether all of them give what they should. */
async function checkPacked(disk: Disk, { findings, now, deadline, limits }: Job): Promise<boolean> {
  const buffer = Buffer.allocUnsafeSlow(STEP)
  try {
    for (const run of disk.runs(0, disk.size)) {
      if (run.kind !== 'packed') continue
      for (let done = 0; done < run.length; done += STEP) {
        if (now().getTime() > deadline) {
          findings.note('LIMIT_REACHED', { found: `more than ${limits.timeMs} ms of work` })
          return false
        }
        const part = buffer.subarray(0, Math.min(STEP, run.length - done))
        await disk.readInto?.(part, run.offset + done)
      }
    }
    return true
  } catch (error) {
    if (!isFailure(error, 'IMAGE_UNSAFE')) throw error
    const { offset } = error.details
    findings.note('CONTENT_DAMAGED', {
      ...(typeof offset === 'number' && { at: offset }),
      found: error.message,
    })
    return false
  }
}
