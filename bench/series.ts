/** Contenders for the same work, measured in turn so that whatever slows the machine slows them all. */
import { rm } from 'node:fs/promises'
import { type Command, type Cost, measure, median } from './measure.ts'

export interface Contender extends Command {
  name: string
  /** Makes a run possible; not measured. */
  prepare?: () => Promise<void>
  /** Throws when the work was not done; not measured. */
  check?: () => Promise<void>
  /** Removed after each run. */
  leftovers?: readonly string[]
}

/** Somebody who cannot take part. */
export interface Absent {
  name: string
  why: string
}

export interface Row {
  name: string
  runs: number
  /** Medians. */
  cost: Cost
}

export interface Series {
  rows: Row[]
  absent: Absent[]
}

/**
 * Runs each contender `runs` times. A peer that fails is reported as absent; only `ours`, those
 * whose name begins with `ingot`, must not fail.
 */
export async function runSeries(
  contenders: readonly (Contender | Absent)[],
  runs: number,
): Promise<Series> {
  const absent = contenders.filter(isAbsent)
  const costs = new Map<Contender, Cost[]>()
  for (const one of contenders) if (!isAbsent(one)) costs.set(one, [])
  for (let run = 1; run <= runs; run++)
    for (const [contender, ofIt] of costs) {
      process.stderr.write(`run ${run} of ${runs}: ${contender.name}`)
      try {
        const cost = await runOnce(contender)
        ofIt.push(cost)
        process.stderr.write(` ${cost.wallS.toFixed(2)} s\n`)
      } catch (error) {
        process.stderr.write(' failed\n')
        if (contender.name.startsWith('ingot') || !(error instanceof Error)) throw error
        absent.push({ name: contender.name, why: error.message })
        costs.delete(contender)
      }
    }
  const rows = [...costs].map(([{ name }, ofIt]) => ({ name, runs, cost: medianCost(ofIt) }))
  return { rows, absent }
}

async function runOnce(contender: Contender): Promise<Cost> {
  await contender.prepare?.()
  try {
    const cost = await measure(contender)
    await contender.check?.()
    return cost
  } finally {
    for (const path of contender.leftovers ?? []) await rm(path, { recursive: true, force: true })
  }
}

function medianCost(costs: readonly Cost[]): Cost {
  const of = (key: keyof Cost) => median(costs.map((cost) => cost[key]))
  return { wallS: of('wallS'), cpuS: of('cpuS'), load: of('load') }
}

function isAbsent(one: Contender | Absent): one is Absent {
  return 'why' in one
}

/** The cost of the row with this name, if it took part. */
export function costOf({ rows }: Series, name: string): Cost | undefined {
  return rows.find((row) => row.name === name)?.cost
}
