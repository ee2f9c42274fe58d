/**
 * Making compressed images against qemu-img, in its plain way and in the one that is fastest where many
 * processors are idle. The disk holds what systems hold: the files of this host's `/usr`, as they
 * come. Every output is compared with the disk. Ours are the command as users start it; the second
 * format is made where the first one left its compressed clusters.
 */
import { open, stat } from 'node:fs/promises'
import { runTool } from '../src/base/process.ts'
import { GiB, MiB } from '../src/base/units.ts'
import { measure, measureOwnPeak } from './measure.ts'
import { INGOT, openPlace, readRuns } from './place.ts'
import { atMost, type Bar, printBars, printHeading, printSeries } from './report.ts'
import { type Contender, costOf, runSeries } from './series.ts'

const DATA = 1 * GiB
const DISK = 10 * GiB
const MEMORY = 200
const WAYS = [
  {
    format: 'qcow2-zlib',
    file: 'output.qcow2',
    judge: 'qcow2',
    second: 'vmdk-stream',
    peers: { 'qemu-img convert -c': [], 'qemu-img convert -c -W -m 16': ['-W', '-m', '16'] },
  },
  {
    format: 'vmdk-stream',
    file: 'output.vmdk',
    judge: 'vmdk',
    second: 'qcow2-zlib',
    peers: { 'qemu-img convert -c': ['-o', 'subformat=streamOptimized'] },
  },
] as const

const runs = readRuns()
await using place = await openPlace()
const disk = place.at('disk.raw')
await makeDisk()
printHeading('Compressing', `bench/compress.ts --runs ${runs}`)
const bars: (Bar | undefined)[] = []
for (const way of WAYS) bars.push(...(await compare(way)))
bars.push(await memoryBar())
process.exitCode = printBars(bars)

async function compare(way: (typeof WAYS)[number]): Promise<(Bar | undefined)[]> {
  const { format, file, judge, second } = way
  const output = place.at(file)
  const kept = place.at(`kept-${format}`)
  const ours = `ingot convert --format ${format}`
  const again = `ingot convert --format ${format} --keep, after ${second}`
  const sizes = new Map<string, number>()
  const contender = (name: string, argv: readonly string[]): Contender => ({
    name,
    argv,
    check: async () => {
      sizes.set(name, (await stat(output)).size)
      await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', judge, disk, output], {
        timeoutMs: 600_000,
      })
    },
    leftovers: [output],
  })
  const convert = [INGOT, 'convert', '-q', '--format', format]
  await measure({
    argv: [INGOT, 'convert', '-q', '--format', second, '--keep', kept, disk, place.at('other')],
  })
  await runTool(['rm', place.at('other')])
  const series = await runSeries(
    [
      contender(ours, [...convert, disk, output]),
      contender(again, [...convert, '--keep', kept, disk, output]),
      ...Object.entries(way.peers).map(([name, flags]) => {
        const peer = ['qemu-img', 'convert', '-c', '-f', 'raw', '-O', judge]
        return contender(name, [...peer, ...flags, disk, output])
      }),
    ],
    runs,
  )
  const what = `${format}: ${DATA / MiB} MiB of data`
  printSeries(what, series)
  const peers = Object.keys(way.peers)
  const fastest = peers
    .map((name) => costOf(series, name))
    .filter((cost) => cost !== undefined)
    .toSorted((a, b) => a.wallS - b.wallS)[0]
  const smallest = Math.min(...peers.map((name) => sizes.get(name) ?? Infinity))
  const ratio = (sizes.get(ours) ?? NaN) / smallest
  return [
    atMost(`${format}, against the faster of qemu-img`, costOf(series, ours), fastest, 0.5),
    atMost(`${format} as the second format`, costOf(series, again), fastest, 0.05),
    {
      what: `size of ${format}, in parts of qemu-img's`,
      wanted: 'at most 1.03',
      found: ratio.toFixed(3),
      met: ratio <= 1.03,
    },
  ]
}

/** What a conversion holds at most while it compresses. */
async function memoryBar(): Promise<Bar> {
  const output = place.at('output.qcow2')
  const peak = await measureOwnPeak({
    argv: [INGOT, 'convert', '-q', '--format', 'qcow2-zlib', disk, output],
  })
  const found = `${Math.round(peak / MiB)} MiB`
  const wanted = `at most ${MEMORY} MiB`
  return { what: 'memory while compressing', wanted, found, met: peak <= MEMORY * MiB }
}

/** The beginning of an archive of /usr, in pieces over the disk. */
async function makeDisk(): Promise<void> {
  const archive = `tar -cf - -C / usr 2>/dev/null | head -c ${DATA} > "$0"`
  await runTool(['sh', '-c', archive, place.at('usr.tar')], { timeoutMs: 600_000 })
  await using from = await open(place.at('usr.tar'))
  await using to = await open(disk, 'w')
  await to.truncate(DISK)
  const part = Buffer.alloc(16 * MiB)
  for (let at = 0; at < DATA; at += part.length) {
    const { bytesRead } = await from.read(part, 0, part.length, at)
    await to.write(part, 0, bytesRead, MiB + at * (DISK / DATA)) // at its start it would be an archive
  }
  await runTool(['rm', place.at('usr.tar')])
}
