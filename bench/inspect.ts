/**
 * Inspecting a qcow2 of 10 GiB with 1 GiB of data in the page cache: whether it is safe, what it holds.
 * qemu-img has no command for that; `info` and `check`, which is what people run instead, are measured
 * beside it. The data stands in large runs, and in single clusters all over the disk, out of order.
 */
import { open } from 'node:fs/promises'
import { runTool } from '../src/base/process.ts'
import { GiB, KiB, MiB } from '../src/base/units.ts'
import { measure, measureOwnPeak, median } from './measure.ts'
import { INGOT, openPlace, readRuns } from './place.ts'
import { type Bar, printBars, printHeading, printSeries, within } from './report.ts'
import { costOf, runSeries } from './series.ts'

const DISK = 10 * GiB
const DATA = 1 * GiB
const OURS = 'ingot inspect'
const SECONDS = 1
const MEMORY_MIB = 128
/** How the data stands on the disk: bytes of a run, and how qemu-img writes them. */
const LAYOUTS = [
  { what: 'in runs of 32 MiB', run: 32 * MiB, flags: [] },
  { what: 'in single clusters, out of order', run: 64 * KiB, flags: ['-W', '-m', '8'] },
] as const

const runs = readRuns()
await using place = await openPlace()
printHeading('Inspecting', `bench/inspect.ts --runs ${runs}`)
const bars: (Bar | undefined)[] = []
for (const { what, run, flags } of LAYOUTS) {
  const [disk, image] = [place.at('disk.raw'), place.at('image.qcow2')]
  await makeDisk(disk, run)
  await runTool(['qemu-img', 'convert', '-O', 'qcow2', ...flags, disk, image], {
    timeoutMs: 600_000,
  })
  await runTool(['rm', disk])
  const inspect = [INGOT, 'inspect', '--claim', 'qcow2', image]
  await measure({ argv: inspect }) // the first start compiles
  const series = await runSeries(
    [
      { name: OURS, argv: inspect },
      {
        name: 'qemu-img info and check',
        argv: ['sh', '-c', 'qemu-img info -f qcow2 "$0" && qemu-img check -f qcow2 "$0"', image],
      },
    ],
    runs,
  )
  printSeries(`10 GiB, 1 GiB of data ${what}`, series)
  const peaks: number[] = []
  for (let time = 0; time < runs; time++) peaks.push(await measureOwnPeak({ argv: inspect }))
  bars.push(
    within(`inspecting data ${what}`, costOf(series, OURS), SECONDS),
    memoryBar(what, median(peaks) / MiB),
  )
}
process.exitCode = printBars(bars)

function memoryBar(what: string, peakMiB: number): Bar {
  return {
    what: `memory of it, data ${what}`,
    wanted: `under ${MEMORY_MIB} MiB`,
    found: `${Math.round(peakMiB)} MiB`,
    met: peakMiB < MEMORY_MIB,
  }
}

/** Runs at equal distances, of bytes that are not zeros. */
async function makeDisk(path: string, run: number): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(DISK)
  const bytes = Buffer.alloc(run, 'what a disk holds ')
  for (let number = 0; number < DATA / run; number++)
    await file.write(bytes, 0, run, Math.floor((number * DISK) / DATA) * run)
}
