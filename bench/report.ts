/** Results as Markdown: tables of costs, and the bars with whether they are met. */
import { cpus, loadavg, release, totalmem } from 'node:os'
import type { Cost } from './measure.ts'
import type { Series } from './series.ts'

/** Something that was promised. */
export interface Bar {
  what: string
  wanted: string
  found: string
  met: boolean
}

/** Above this the processors are shared with others, and wall times say little. */
const BUSY_LOAD = cpus().length

export function printHeading(title: string, command: string): void {
  const { model = 'unknown processor' } = cpus()[0] ?? {}
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ')
  print(`## ${title}\n`)
  print(
    `\`${command}\`, ${date} UTC; ${cpus().length} × ${model.trim()}, ${memory}, Linux ${release()}\n`,
  )
}

/** The costs of a series, each row beside the first one. */
export function printSeries(title: string, { rows, absent }: Series): void {
  const first = rows[0]?.cost
  print(`### ${title}\n`)
  print('| | wall s | × | CPU s | × | load before |')
  print('| --- | ---: | ---: | ---: | ---: | ---: |')
  for (const { name, cost } of rows)
    print(
      `| ${[
        name,
        seconds(cost.wallS),
        times(cost.wallS, first?.wallS),
        seconds(cost.cpuS),
        times(cost.cpuS, first?.cpuS),
        cost.load.toFixed(1),
      ].join(' | ')} |`,
    )
  print(`\nMedians of ${rows[0]?.runs ?? 0}; × is how many times the first row.\n`)
  const busiest = Math.max(...rows.map(({ cost }) => cost.load))
  if (busiest > BUSY_LOAD)
    print(
      `**The machine was busy (load ${busiest.toFixed(1)}): go by CPU seconds, not by wall time.**\n`,
    )
  for (const { name, why } of absent) print(`- Without ${name}: ${why.replaceAll(/\s+/g, ' ')}\n`)
}

/** Prints the bars; the exit code: 0 if all are met, 4 if one is not. */
export function printBars(bars: readonly (Bar | undefined)[]): number {
  const present = bars.filter((bar) => bar !== undefined)
  for (const { what, wanted, found, met } of present)
    print(`- ${met ? 'met' : '**missed**'}: ${what}: ${found} (bar: ${wanted})`)
  print(`\nLoad at the end: ${loadavg()[0]?.toFixed(1)}\n`)
  return present.every(({ met }) => met) ? 0 : 4
}

/** A bar on seconds of wall time. */
export function within(what: string, cost: Cost | undefined, maxS: number): Bar | undefined {
  if (cost === undefined) return undefined
  const found = `${seconds(cost.wallS)} s, ${seconds(cost.cpuS)} of CPU`
  return { what, wanted: `under ${seconds(maxS)} s`, found, met: cost.wallS < maxS }
}

/** A bar on how many times as long as `ours` the other takes. */
export function timesFaster(
  what: string,
  ours: Cost | undefined,
  other: Cost | undefined,
  min: number,
): Bar | undefined {
  if (ours === undefined || other === undefined) return undefined
  const ratio = other.wallS / ours.wallS
  return {
    what,
    wanted: `at least ${min} times faster`,
    found: ratios(other, ours),
    met: ratio >= min,
  }
}

/** A bar on how long `ours` takes, in parts of the other. */
export function atMost(
  what: string,
  ours: Cost | undefined,
  other: Cost | undefined,
  max: number,
): Bar | undefined {
  if (ours === undefined || other === undefined) return undefined
  const ratio = ours.wallS / other.wallS
  return { what, wanted: `at most ${max}`, found: ratios(ours, other), met: ratio <= max }
}

const ORDERING_MIB = 200
const ORDERING_CORE = 0.05

/** The bars on what builds on a cloud cost the host that ordered them: MiB of all, the part of a core of each. */
export function orderingBars(found: { count: number; memory: number; core: number }): Bar[] {
  const { count, memory, core } = found
  return [
    {
      what: `memory of ${count} builds at once`,
      wanted: `under ${ORDERING_MIB} MiB`,
      found: `${memory.toFixed(0)} MiB`,
      met: memory < ORDERING_MIB,
    },
    {
      what: 'processor of one build',
      wanted: `under ${ORDERING_CORE * 100} % of a core`,
      found: `${(core * 100).toFixed(1)} %`,
      met: core < ORDERING_CORE,
    },
  ]
}

function ratios(above: Cost, below: Cost): string {
  const [wall, cpu] = [above.wallS / below.wallS, above.cpuS / below.cpuS]
  return `${wall.toFixed(2)} by wall time, ${cpu.toFixed(2)} by CPU`
}

function seconds(value: number): string {
  return value < 10 ? value.toFixed(2) : value.toFixed(1)
}

function times(value: number, first: number | undefined): string {
  return first === undefined ? '' : (value / first).toFixed(1)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
