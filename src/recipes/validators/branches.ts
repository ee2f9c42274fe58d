/**
 * Validators that choose among others: `all`, `any`, `os_case`, `argument_case`.
 * Source: Sahara `plugins/images.py` (SaharaImageValidator's any, all, os_case, argument_case).
 */
import { Failure } from '../../base/failure.ts'
import { KNOWN_DISTROS, namesOf } from '../../remotes/facts.ts'
import { didYouMean, type Path } from '../../schema/find-faults.ts'
import type { Step } from '../recipe.ts'
import type { Verdict } from '../report.ts'
import { defineBranch, type Loading, type Mode } from '../validator.ts'
import type { Script } from './scripts.ts'
import { Type } from '../../schema/type.ts'

/**
 * A nested list of steps. They are checked one by one when they are loaded, so that here any list
 * will do; `$ref` is for editors, in the schema of whole recipes.
 */
const stepsSchema = Type.Unsafe<unknown[]>({
  type: 'array',
  title: 'a list of steps',
  $ref: '#/$defs/steps',
})

interface Case {
  key: string
  steps: readonly Step[]
}

export const all = defineBranch<unknown[], readonly Step[]>({
  name: 'all',
  summary: 'every step, in order',
  description:
    'Reconcile stops at the first step that fails; test-only goes on, so that all differences are known.',
  example: `
- all:
    - package: nginx
    - service: nginx`,
  schema: stepsSchema,
  load: (spec, loading) => loading.loadSteps(spec, []),
  title: () => 'all',
  children: (steps) => [{ label: 'all', steps }],
  run: (steps, _scene, runSteps) => runSteps(steps),
})

export const any = defineBranch<unknown[], readonly Step[]>({
  name: 'any',
  summary: 'at least one of the steps',
  description:
    'First every step is checked, in order, and the first that holds is enough. Only if none does, and the run may change things, they are applied in order until one succeeds.',
  example: `
- any:
    - package: openjdk-17-jre-headless
    - package: default-jre-headless`,
  schema: stepsSchema,
  load: (spec, loading) => {
    if (spec.length === 0)
      loading.fault([], 'an empty `any` can never hold; wanted at least one step')
    const steps = loading.loadSteps(spec, [])
    if (steps.some(alwaysHolds))
      loading.fault(
        [],
        'one of these steps holds whatever is found, so `any` never applies anything; a script must look at test_only and end with 1 if something is to be done',
        'warning',
      )
    return steps
  },
  title: () => 'any',
  children: (steps) => [{ label: 'any', steps }],
  run: async (steps, scene, runSteps) => {
    const modes: readonly Mode[] =
      scene.mode === 'reconcile' ? ['test-only', 'reconcile'] : ['test-only']
    let tried: Verdict[] = []
    for (const mode of modes) {
      tried = []
      for (const step of steps) {
        const { ok, verdicts } = await runSteps([step], mode)
        if (ok && verdicts.some((verdict) => verdict.status !== 'skipped')) return { ok, verdicts }
        tried.push(...verdicts)
      }
    }
    return { ok: false, verdicts: tried }
  },
})

export const osCase = defineBranch<Record<string, unknown>[], readonly Case[]>({
  name: 'os_case',
  summary: 'the steps for the distribution or family of the guest',
  description:
    'The first key that names the guest’s distribution (`debian`, `ubuntu`, `rocky`, …) or its family (`debian`, `redhat`, `suse`) wins; the rest is skipped, so put distributions before families. If none matches, nothing is done.',
  example: `
- os_case:
    - ubuntu:
        - package: openjdk-8-jre-headless
    - redhat:
        - package: java-1.8.0-openjdk-headless`,
  schema: Type.Array(
    Type.Record(Type.String(), stepsSchema, {
      minProperties: 1,
      maxProperties: 1,
      title: 'one distribution or family with its steps',
    }),
  ),
  load: (spec, loading) =>
    spec.flatMap((item, index) =>
      Object.entries(item).map(([key, steps]) => {
        if (!KNOWN_DISTROS.includes(key))
          loading.fault(
            [index, key],
            `Ingot knows no distribution or family '${key}'${didYouMean(key, KNOWN_DISTROS) || `; this case is only for guests whose os-release says ID=${key}`}`,
            'warning',
          )
        return { key, steps: loading.loadSteps(steps, [index, key]) }
      }),
    ),
  title: () => 'os_case',
  children: toChildren,
  run: (cases, scene, runSteps) => {
    const names = namesOf(scene.facts)
    const chosen = cases.find(({ key }) => names.includes(key))
    return runSteps(chosen?.steps ?? [])
  },
})

export const argumentCase = defineBranch<
  { argument_name: string; cases: Record<string, unknown> },
  { argument: string; cases: readonly Case[] }
>({
  name: 'argument_case',
  summary: 'the steps for the value of an argument',
  description: 'If no case equals the value, nothing is done. `distro` may be asked too.',
  example: `
- argument_case:
    argument_name: distro
    cases:
      debian:
        - package: nginx-light
      ubuntu:
        - package: nginx-core`,
  schema: Type.Object(
    {
      argument_name: Type.String({ minLength: 1, description: 'the argument to look at' }),
      cases: Type.Record(Type.String(), stepsSchema, {
        minProperties: 1,
        description: 'steps by value',
      }),
    },
    { additionalProperties: false },
  ),
  load: (spec, loading) => {
    loading.usesArgument(spec.argument_name, ['argument_name'])
    lintCases(spec, loading)
    return { argument: spec.argument_name, cases: loadCases(spec.cases, ['cases'], loading) }
  },
  title: ({ argument }) => `argument_case ${argument}`,
  children: ({ cases }) => toChildren(cases),
  run: ({ argument, cases }, scene, runSteps) => {
    const value = scene.args.get(argument)
    if (value === undefined)
      throw new Failure('ARGUMENT_INVALID', `argument '${argument}' not found`)
    return runSteps(cases.find(({ key }) => key === value)?.steps ?? [])
  },
})

/** Whether a step holds in test-only mode whatever the guest is like. */
function alwaysHolds({ validator, options, when }: Step): boolean {
  if (when) return false
  if (validator === all) return (options as readonly Step[]).every(alwaysHolds)
  if (validator.name === 'script') {
    const { looksAtTestOnly, output } = options as Script
    return !looksAtTestOnly && output === undefined
  }
  return validator.name === 'copy_script' || validator.name === 'argument_set'
}

/** Compares the cases with the choices of the argument. */
function lintCases(
  spec: { argument_name: string; cases: Record<string, unknown> },
  loading: Loading,
): void {
  const choices = loading.argument(spec.argument_name)?.choices
  if (!choices) return
  const cases = Object.keys(spec.cases)
  for (const key of cases)
    if (!choices.includes(key))
      loading.fault(
        ['cases', key],
        `'${key}' is none of the choices of '${spec.argument_name}' (${choices.join(', ')})${didYouMean(key, choices)}`,
        'warning',
      )
  const without = choices.filter((choice) => !cases.includes(choice))
  if (without.length > 0)
    loading.fault(
      ['cases'],
      `nothing is done for ${without.map((choice) => `'${choice}'`).join(' and ')}, which '${spec.argument_name}' may be as well`,
      'warning',
    )
}

function loadCases(cases: Record<string, unknown>, path: Path, loading: Loading): Case[] {
  return Object.entries(cases).map(([key, steps]) => ({
    key,
    steps: loading.loadSteps(steps, [...path, key]),
  }))
}

function toChildren(cases: readonly Case[]): { label: string; steps: readonly Step[] }[] {
  return cases.map(({ key, steps }) => ({ label: key, steps }))
}
