/**
 * Importing an image in one pass, as if it streamed in, against qemu-img converting the finished file
 * to raw. The disk is 10 GiB with 1.1 GiB of data. Ours also tells whether the image is safe, makes the
 * map of the disk, and hashes what came, which alone takes longer than all that qemu-img does: so it is
 * also measured without, and qemu-img with openssl behind it. Neither waits for the medium.
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { makeContext } from '../src/base/context.ts'
import { runTool } from '../src/base/process.ts'
import { GiB, MiB } from '../src/base/units.ts'
import { importImage } from '../src/formats/import-image.ts'
import { openSparseWriter } from '../src/formats/sparse-writer.ts'
import { measure } from './measure.ts'
import { openPlace, readRuns } from './place.ts'
import { atMost, printBars, printHeading, printSeries } from './report.ts'
import { type Contender, costOf, runSeries, type Series } from './series.ts'

const ONCE = 'INGOT_BENCH_IMPORT'
const PIECES = 22
const PIECE = 51 * MiB
const OURS = 'ingot: import, with SHA-256 of the source'
const OURS_PLAIN = 'ingot: import, hashing nothing'
const CONVERT = 'qemu-img convert -O raw'
const CONVERT_AND_SUM = 'qemu-img convert -O raw, and openssl dgst -sha256'

const once = process.env[ONCE]
if (once === undefined) await compare()
else await importOnce(once === 'digest', process.argv[2] ?? '', process.argv[3] ?? '')

/** What the contender does, in a process of its own. */
async function importOnce(digest: boolean, image: string, path: string): Promise<void> {
  const writer = await openSparseWriter(path, { sync: false }) // as qemu-img does it
  const { findings } = await importImage(image, { name: image, writer, digest }, makeContext())
  if (findings.some(({ severity }) => severity === 'refuse')) process.exitCode = 4
}

async function compare(): Promise<void> {
  const runs = readRuns()
  await using place = await openPlace()
  const [raw, output] = [place.at('disk.raw'), place.at('output.raw')]
  await makeDisk(raw)
  printHeading('Importing', `bench/import.ts --runs ${runs}`)
  const bars = []
  for (const [what, flags] of [
    ['qcow2', []],
    ['qcow2, written out of order', ['-W', '-m', '8']],
    ['qcow2, compressed by zstd', ['-c', '-o', 'compression_type=zstd']],
  ] as const) {
    const image = place.at('image.qcow2')
    await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...flags, raw, image], {
      timeoutMs: 600_000,
    })
    const series = await runOn(image, output, raw, place.at('compiled'), runs)
    printSeries(`${what}: 10 GiB, 1.1 GiB of data`, series)
    bars.push(
      atMost(`import of ${what}`, costOf(series, OURS), costOf(series, CONVERT), 1.1),
      atMost(`${what}, hashed by none`, costOf(series, OURS_PLAIN), costOf(series, CONVERT), 1.1),
      atMost(`${what}, hashed by both`, costOf(series, OURS), costOf(series, CONVERT_AND_SUM), 1),
    )
  }
  process.exitCode = printBars(bars)
}

async function runOn(
  image: string,
  output: string,
  raw: string,
  cache: string,
  runs: number,
): Promise<Series> {
  const check = async () => {
    await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', 'raw', raw, output], {
      timeoutMs: 600_000,
    })
  }
  const convert = ['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', image, output]
  const sum = 'openssl dgst -sha256 "$0" && exec "$@"'
  const ours = (name: string, once: string): Contender => ({
    name,
    argv: [process.execPath, import.meta.filename, image, output],
    env: { [ONCE]: once, NODE_COMPILE_CACHE: cache }, // as the command has it
    leftovers: [output],
    check,
  })
  await measure(ours(OURS, 'digest')) // the first start compiles
  return await runSeries(
    [
      ours(OURS, 'digest'),
      ours(OURS_PLAIN, 'nothing'),
      { name: CONVERT, argv: convert, leftovers: [output], check },
      {
        name: CONVERT_AND_SUM,
        argv: ['sh', '-c', sum, image, ...convert],
        leftovers: [output],
        check,
      },
    ],
    runs,
  )
}

/** Half of each piece does not compress. */
async function makeDisk(path: string): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(10 * GiB)
  const part = Buffer.alloc(MiB, 'what compresses well ')
  for (let at = 0; at < MiB / 2; at += 64)
    createHash('sha512').update(String(at)).digest().copy(part, at)
  for (let piece = 0; piece < PIECES; piece++)
    for (let at = 0; at < PIECE; at += MiB) {
      part.writeUInt32LE(piece * PIECE + at, 0)
      await file.write(part, 0, MiB, Math.floor((10 * GiB) / PIECES / MiB) * MiB * piece + at)
    }
  await file.sync()
}
