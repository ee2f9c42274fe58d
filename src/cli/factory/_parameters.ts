import type { Command } from 'commander'
import { Failure, messageOf } from '../../base/failure.ts'
import { collect } from '../image/_subcommand.ts'
import { readText } from './_scene.ts'

export interface ParameterFlags {
  readonly parameters?: string
  readonly parameter?: readonly string[]
  readonly fileParameter?: readonly string[]
}

export function addParameterOptions(command: Command): Command {
  return command
    .option('--parameters <file>', 'parameters of the builder or target, a JSON object')
    .option('--parameter <name=value>', 'one of them; may be repeated', collect)
    .option('--file-parameter <name=file>', 'one whose value is the text of a file', collect)
}

/** Later ones win: the file of all, then single ones, then those of files. Fails with USAGE, FILE_NOT_FOUND. */
export async function readParameters(flags: ParameterFlags): Promise<Record<string, unknown>> {
  const { parameters: file, parameter = [], fileParameter = [] } = flags
  return await joinParameters(file, parameter.map(pairOf), fileParameter.map(pairOf))
}

type Pair = readonly [name: string, value: string]

/** What Image Factory's three flags come to, in its order. */
export async function joinParameters(
  file: string | undefined,
  single: readonly Pair[],
  files: readonly Pair[],
): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = file === undefined ? {} : await readJson(file)
  for (const [name, value] of single) all[name] = value
  for (const [name, path] of files) all[name] = await readText(path)
  return all
}

function pairOf(text: string): Pair {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name !== undefined && value !== undefined) return [name, value]
  throw new Failure('USAGE', `wanted NAME=VALUE, found '${text}'`)
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(await readText(path))
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure('USAGE', `${path} is not JSON: ${messageOf(error)}`)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Failure('USAGE', `${path}: wanted a JSON object of parameters`)
}
