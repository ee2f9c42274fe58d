/**
 * Converting between formats against qemu-img, in its plain way and in the one that is fastest where
 * many processors are idle (`-W -m 16`). The disk is 10 GiB with 1.1 GiB of data, all of it in the page
 * cache. Every output is compared with the disk.
 */
import { open, rm } from 'node:fs/promises'
import { runTool } from '../src/base/process.ts'
import { GiB, MiB } from '../src/base/units.ts'
import { INGOT, openPlace, readRuns } from './place.ts'
import { atMost, printBars, printHeading, printSeries } from './report.ts'
import { type Contender, costOf, runSeries } from './series.ts'

const PIECES = 22
const PIECE = 51 * MiB
/** From, to, as both programs call them. */
const WAYS = [
  { from: 'raw', to: 'qcow2', judge: 'qcow2' },
  { from: 'qcow2', to: 'raw', judge: 'raw' },
  { from: 'raw', to: 'vhd', judge: 'vpc' },
  { from: 'raw', to: 'vhdx', judge: 'vhdx' },
  { from: 'raw', to: 'vdi', judge: 'vdi' },
  { from: 'raw', to: 'vmdk', judge: 'vmdk' },
] as const
/** How qemu-img may do it. */
const PEERS = { 'qemu-img convert': [], 'qemu-img convert -W -m 16': ['-W', '-m', '16'] } as const

const runs = readRuns()
await using place = await openPlace()
const disk = place.at('disk.raw')
await makeDisk(disk)
await runTool(['qemu-img', 'convert', '-O', 'qcow2', disk, place.at('disk.qcow2')])
printHeading('Converting', `bench/convert.ts --runs ${runs}`)
const bars = []
for (const { from, to, judge } of WAYS) {
  const input = place.at(`disk.${from}`)
  const output = place.at(`output.${to}`)
  const ours = `ingot convert, ${from} to ${to}`
  const check = async () =>
    void (await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', judge, disk, output]))
  const contenders: Contender[] = [
    { name: ours, argv: [INGOT, 'convert', '-q', input, output], check, leftovers: [output] },
    ...Object.entries(PEERS).map(([name, flags]) => ({
      name,
      argv: ['qemu-img', 'convert', ...flags, '-f', from, '-O', judge, input, output],
      leftovers: [output],
    })),
  ]
  const series = await runSeries(contenders, runs)
  printSeries(`${from} to ${to}: 10 GiB, 1.1 GiB of data`, series)
  const [best] = Object.keys(PEERS)
    .flatMap((name) => costOf(series, name) ?? [])
    .toSorted((a, b) => a.wallS - b.wallS)
  bars.push(
    atMost(`${from} to ${to}, against the faster of qemu-img`, costOf(series, ours), best, 1),
  )
}
await rm(disk)
process.exitCode = printBars(bars)

/** Data in pieces all over the disk, as file systems leave it. */
async function makeDisk(path: string): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(10 * GiB)
  const piece = Buffer.allocUnsafe(PIECE)
  for (let number = 0; number < PIECES; number++) {
    for (let at = 0; at < PIECE; at += 4) piece.writeUInt32LE((at * 2654435761 + number) >>> 0, at)
    await file.write(piece, 0, PIECE, Math.floor((number * 10 * GiB) / PIECES / MiB) * MiB)
  }
}
