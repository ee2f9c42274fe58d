/** What every benchmark starts from: its options, a directory to work in, Ingot, and the work itself. */
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runProcess, runTool } from '../src/base/process.ts'

export const INGOT = resolve(import.meta.dirname, '../ingot')

/** A file of the work that all contenders do. */
export function workFile(name: string): string {
  return join(import.meta.dirname, 'recipes', name)
}

/** `--runs N`, three if nothing is said. */
export function readRuns(): number {
  const { values } = parseArgs({ options: { runs: { type: 'string', default: '3' } } })
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: wanted a number`)
  return runs
}

export function demandRoot(): void {
  if (process.geteuid?.() !== 0)
    throw new Error('this benchmark needs root: peers and the sandbox mount file systems')
}

export interface Place extends AsyncDisposable {
  /** The path of a file or directory that goes when the benchmark ends. */
  at(name: string): string
}

export async function openPlace(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'ingot-bench-'))
  await chmod(directory, 0o755) // the unprivileged user looks in here
  return {
    at: (name) => join(directory, name),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

/** The Debian 12 image that is packed: `BASE_IMAGE`, else one that is built once and kept. */
export async function findBaseImage(): Promise<string> {
  const given = process.env['BASE_IMAGE']
  if (given) return resolve(given)
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const directory = join(cache, 'ingot-bench')
  const image = join(directory, 'base.qcow2')
  if (existsSync(image)) return image
  process.stderr.write(`building ${image}, once\n`)
  const unfinished = join(directory, 'unfinished.qcow2')
  await mkdir(directory, { recursive: true })
  await runTool([INGOT, 'build', workFile('base.yaml'), '--output', unfinished])
  await rename(unfinished, image)
  return image
}

/** A copy of an image, all of it on the disk, so that no run pays for the one before. */
export async function copyImage(from: string, to: string): Promise<void> {
  await rm(to, { force: true })
  await runTool(['cp', '--sparse=always', '--', from, to])
  await runTool(['sync', to])
}

/** Throws unless the image is as the recipe says. */
export async function demandState(recipe: string, image: string): Promise<void> {
  const { code, stdout, stderr } = await runProcess([
    INGOT, 'validate', workFile(recipe), '--image', image, '--via', 'sandbox', '--trusted',
  ]) // prettier-ignore
  if (code !== 0)
    throw new Error(
      `the work was not done:\n${(stdout.toString() || stderr.toString()).slice(-800)}`,
    )
}
