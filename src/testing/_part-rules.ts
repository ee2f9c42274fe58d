/** What is asked of every part of the factory, builder or target. */
import assert from 'node:assert/strict'
import type { TSchema } from 'typebox'
import { messageOf } from '../base/failure.ts'
import { findFaults } from '../schema/find-faults.ts'
import type { Trace } from './_breakable-job.ts'

interface Shape {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Shape>>
  readonly description?: string
  readonly secret?: boolean
}

/** An object, each of whose keys says what it is for, and which is nothing but JSON. */
export function checkSchema(schema: TSchema, of: string): void {
  const shape: Shape = schema
  assert.equal(shape.type, 'object', `${of}: parameters are an object`)
  for (const [name, { description = '' }] of Object.entries(shape.properties ?? {}))
    assert.notEqual(description, '', `${of}: ${name} says what it is for`)
  const printed: unknown = JSON.parse(JSON.stringify(schema))
  assert.deepEqual(printed, schema, `${of} can be printed`)
}

export function checkWrongOptions(schema: TSchema, wrong: readonly unknown[]): void {
  for (const options of wrong)
    assert.notDeepEqual(findFaults(schema, options), [], JSON.stringify(options))
}

/** Values of the keys that a schema calls secret. */
export function secretsIn(schema: TSchema | undefined, value: unknown): string[] {
  const { properties = {} }: Shape = schema ?? {}
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, one]) =>
    properties[key]?.secret === true && typeof one === 'string' ? [one] : [],
  )
}

/** Phases follow each other and go up, from 0 to 100 at most. */
export function checkPhases({ phases, percents, nested }: Trace): void {
  assert.deepEqual(nested, [], 'phases follow each other')
  let last = 0
  for (const { name, from, to } of phases) {
    assert.ok(last <= from && from <= to && to <= 100, `${name}: from ${from} to ${to}`)
    last = to
  }
  const sorted = percents.toSorted((one, other) => one - other)
  assert.deepEqual(percents, sorted, 'percentages never go back')
  assert.ok((percents[0] ?? 0) >= 0 && (percents.at(-1) ?? 0) <= 100)
}

/** Nothing that is shown or kept tells a secret; `masked` are those that the factory itself hides where things are shown. */
export function checkSecrets(
  trace: Trace,
  secrets: readonly string[],
  { masked, error }: { readonly masked: readonly string[]; readonly error?: unknown },
): void {
  const shown = [...trace.shown, error === undefined ? '' : messageOf(error)]
  const hidden = [...masked, ...trace.secrets].filter((secret) => secret !== '')
  const seen = hidden.reduce((text, secret) => text.replaceAll(secret, '***'), shown.join('\n'))
  for (const secret of secrets) {
    assert.ok(!seen.includes(secret), `log, activities and errors keep '${secret}'`)
    assert.ok(!trace.kept.join('\n').includes(secret), `things and documents keep '${secret}'`)
  }
}

/** How work ended; `over` resolves when it has, which work that died only does once it is let go. */
export interface End<Result> {
  readonly result?: Result
  readonly error?: unknown
  readonly isDead?: boolean
  readonly over: Promise<unknown>
}

export async function endOf<Result>(work: Promise<Result>, { died }: Trace): Promise<End<Result>> {
  const over = work.then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  )
  const end = await Promise.race([over, died.promise.then(() => ({ isDead: true }))])
  return { ...end, over }
}
