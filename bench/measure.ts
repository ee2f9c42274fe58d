/** Runs commands by turns and compares them: wall time, processor time of all descendants, peak memory. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, runProcess, type RunOptions } from '../src/base/process.ts'

export interface Sample {
  wallS: number
  /** User and system time, of the command and all that it waited for. */
  cpuS: number
  /** Of the largest single process. */
  peakMiB: number
}

export interface Contender {
  name: string
  /** Undefined: it cannot run here, and `skip` says why. */
  argv: readonly string[] | undefined
  skip?: string
  options?: RunOptions
  /** Before each run, not measured: fresh copies. */
  prepare?: () => Promise<void>
}

/** What `--runs` says, or three. */
export function runsWanted(): number {
  const at = process.argv.indexOf('--runs')
  return at < 0 ? 3 : Math.max(1, Number(process.argv[at + 1]))
}

/** Runs one command under time(1). Throws when it fails. */
export async function measure(argv: readonly string[], options: RunOptions = {}): Promise<Sample> {
  if (!findProgram('/usr/bin/time') && !findProgram('time'))
    throw new Error('time(1) is missing: apt-get install time')
  const directory = await mkdtemp(join(tmpdir(), 'ingot-bench-'))
  try {
    const file = join(directory, 'time')
    const result = await runProcess(
      ['/usr/bin/time', '-q', '-o', file, '-f', '%e %U %S %M', ...argv],
      options,
    )
    if (result.code !== 0)
      throw new Error(
        `${argv.join(' ')} ended with ${result.code}\n${result.stdout.toString().slice(-2000)}${result.stderr.toString().slice(-2000)}`,
      )
    const [wall, user, system, peak] = (await readFile(file, 'utf8'))
      .trim()
      .split(/\s+/)
      .map(Number)
    return {
      wallS: wall ?? Number.NaN,
      cpuS: (user ?? 0) + (system ?? 0),
      peakMiB: (peak ?? 0) / 1024,
    }
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Runs all contenders in turn, `runs` times, and prints medians and ratios to the first one. */
export async function compare(
  title: string,
  contenders: readonly Contender[],
  runs = runsWanted(),
): Promise<Map<string, Sample>> {
  const samples = new Map<string, Sample[]>()
  const skipped: string[] = []
  console.log(`\n## ${title}\n`)
  for (let run = 0; run < runs; run++)
    for (const { name, argv, skip, options, prepare } of contenders) {
      if (argv === undefined) {
        if (run === 0) skipped.push(`${name}: skipped, ${skip ?? 'not here'}`)
        continue
      }
      try {
        await prepare?.()
        samples.set(name, [...(samples.get(name) ?? []), await measure(argv, options)])
      } catch (error) {
        if (run === 0)
          skipped.push(
            `${name}: failed, ${error instanceof Error ? error.message.split('\n').slice(0, 6).join(' / ') : String(error)}`,
          )
      }
    }
  const medians = new Map([...samples].map(([name, all]) => [name, medianOf(all)]))
  const [base] = medians.values()
  console.log('| | wall s | CPU s | peak MiB | wall, times the first | CPU, times the first |')
  console.log('| --- | --- | --- | --- | --- | --- |')
  for (const [name, { wallS, cpuS, peakMiB }] of medians) {
    console.log(
      `| ${name} | ${wallS.toFixed(2)} | ${cpuS.toFixed(2)} | ${peakMiB.toFixed(0)} | ${ratio(wallS, base?.wallS)} | ${ratio(cpuS, base?.cpuS)} |`,
    )
  }
  for (const line of skipped) console.log(`\n${line}`)
  console.log(
    `\n(medians of ${runs}; ${cpus().length} processors; load ${loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')})`,
  )
  return medians
}

function ratio(own: number, first: number | undefined): string {
  return first ? (own / first).toFixed(2) : '-'
}

/** Says whether a bar is met. */
export function bar(what: string, value: number | undefined, limit: number, unit: string): void {
  if (value === undefined || Number.isNaN(value)) console.log(`- ${what}: not measured`)
  else
    console.log(
      `- ${what}: ${value.toFixed(2)} ${unit}, bar ${limit} ${unit}: ${value <= limit ? 'met' : 'MISSED'}`,
    )
}

function medianOf(all: readonly Sample[]): Sample {
  const middle = (pick: (sample: Sample) => number) =>
    all.map(pick).sort((a, b) => a - b)[Math.floor((all.length - 1) / 2)] ?? Number.NaN
  return {
    wallS: middle((one) => one.wallS),
    cpuS: middle((one) => one.cpuS),
    peakMiB: middle((one) => one.peakMiB),
  }
}
