/**
 * A recipe for its reader: its arguments, its steps as a tree, and what each flow would do with each
 * step. `recipe show` and `--plan` print it; as data it is what `--json` gives.
 */
import type { ArgumentValues } from './argument-values.ts'
import type { Argument, Place, Recipe, Step } from './recipe.ts'
import { argumentCase } from './validators/branches.ts'

/** The three things that are done with a recipe; `build` does to its new image what `pack` does. */
export const FLOWS = ['pack', 'validate', 'provision'] as const
export type Flow = (typeof FLOWS)[number]

/**
 * - `check`: looks, changes nothing.
 * - `repair`: looks, makes it so where it is not, looks again.
 * - `run`: is run each time; it looks after itself.
 * - `choose`: runs some of the steps below it.
 * - `-`: is left out.
 */
export type Action = 'check' | 'repair' | 'run' | 'choose' | '-'

export interface StepDescription {
  id: string
  validator: string
  title: string
  place: Place
  when: string | undefined
  on: 'image' | 'host' | undefined
  flows: Readonly<Record<Flow, Action>>
  /** Its check runs a command of the guest, so that reading an image cannot answer it. */
  needsCommand: boolean
  /** The lists of steps below it, each with what it is chosen by. */
  branches: readonly { label: string; steps: readonly StepDescription[] }[]
}

export interface RecipeDescription {
  name: string
  description: string
  file: string
  digest: string
  /** With the value that it has in this run, if values were given; secrets as `***`. */
  arguments: readonly (Omit<Argument, 'place'> & { value?: string })[]
  base: Recipe['base']
  disk: Recipe['disk']
  clean: Recipe['clean']
  steps: readonly StepDescription[]
  /** Checked by `validate`, and on the machine that a boot test starts. */
  tests: readonly StepDescription[]
}

/**
 * Describes a recipe. With `values`, those of its arguments are shown, and where nothing but an
 * argument decides, only the steps that it chooses.
 */
export function describeRecipe(recipe: Recipe, values?: ArgumentValues): RecipeDescription {
  const known = values && withoutMade(values, recipe)
  const shown = values?.masked()
  const { name, description, file, digest, base, disk, clean } = recipe
  return {
    name,
    description,
    file,
    digest,
    arguments: recipe.args.map(({ place: _place, ...argument }) => ({
      ...argument,
      ...(shown?.[argument.name] === undefined ? {} : { value: shown[argument.name] }),
    })),
    base,
    disk,
    clean,
    steps: recipe.steps.map((step) => describeStep(step, false, known)),
    tests: recipe.tests.map((step) => describeStep(step, true, known)),
  }
}

/** Values that stay what they are to the end of the run. */
type Known = (name: string) => string | undefined

/** Leaves out the arguments that a step of the recipe itself may set. */
function withoutMade(values: ArgumentValues, recipe: Recipe): Known {
  const made = new Set<unknown>()
  const look = (step: Step) => {
    const { argument_name: set, output } = step.options as Record<string, unknown>
    made.add(step.validator.name === 'argument_set' ? set : output)
    for (const { steps } of childrenOf(step)) steps.forEach(look)
  }
  recipe.steps.forEach(look)
  return (name) => (made.has(name) ? undefined : values.get(name))
}

function describeStep(step: Step, isTest: boolean, known: Known | undefined): StepDescription {
  const { id, validator, title, place, on, options } = step
  const branches = chosenBranches(step, known).map(({ label, steps }) => ({
    label,
    steps: steps.map((child) => describeStep(child, isTest, known)),
  }))
  return {
    id,
    validator: validator.name,
    title,
    place,
    when: step.when?.text,
    on,
    flows: {
      pack: isTest || on === 'host' ? '-' : actionOf(step),
      validate: validator.kind === 'branch' ? 'choose' : 'check',
      provision: isTest || on === 'image' ? '-' : actionOf(step),
    },
    needsCommand: validator.kind === 'leaf' && (validator.needsCommand?.(options) ?? false),
    branches,
  }
}

/** What a flow that may change things does with a step. */
function actionOf({ validator }: Step): Action {
  if (validator.kind === 'branch') return 'choose'
  if (!validator.apply) return 'check'
  return validator.reconcile === 'apply' ? 'run' : 'repair'
}

function childrenOf({ validator, options }: Step) {
  return validator.kind === 'branch' ? validator.children(options) : []
}

/** The branches of a step; only the one that a known argument chooses. */
function chosenBranches(step: Step, known: Known | undefined): ReturnType<typeof childrenOf> {
  const children = childrenOf(step)
  if (step.validator !== argumentCase) return children
  const value = known?.((step.options as { argument: string }).argument)
  return value === undefined ? children : children.filter(({ label }) => label === value)
}
