/** Recipes as people read them: `recipe show`, and the plan of a run. */
import { styleText } from 'node:util'
import type { Flow, RecipeDescription, StepDescription } from '../recipes/describe-recipe.ts'
import { FLOWS } from '../recipes/describe-recipe.ts'
import { formatTable } from './_table.ts'

const LEGEND: readonly string[] = [
  'check: looks only   repair: looks, and makes it so   run: each time   -: left out',
  '*  needs a command of the guest: an image cannot be checked for it by reading alone',
]

/** The whole description; the columns are the flows asked for. */
export function formatRecipe(
  recipe: RecipeDescription,
  options: { colours: boolean; flows?: readonly Flow[] },
): string {
  const bold = (text: string) => (options.colours ? styleText('bold', text) : text)
  const flows = options.flows ?? FLOWS
  const parts = [
    [bold(recipe.name), recipe.description].filter(Boolean).join(': ') + `\n${recipe.file}`,
  ]
  if (recipe.arguments.length > 0)
    parts.push(formatTable([bold('Arguments'), '', ''], recipe.arguments.map(argumentRow)))
  for (const key of ['base', 'disk', 'clean'] as const)
    if (recipe[key] !== undefined) parts.push(`${bold(key)}  ${JSON.stringify(recipe[key])}`)
  for (const [title, steps] of [
    ['Steps', recipe.steps],
    ['Tests', recipe.tests],
  ] as const)
    if (steps.some((step) => flows.some((flow) => step.flows[flow] !== '-')))
      parts.push(
        formatTable(
          [bold(title), ...flows],
          steps.flatMap((step) => stepRows(step, '  ', flows)),
        ),
      )
  const rows = JSON.stringify([recipe.steps, recipe.tests])
  parts.push(LEGEND.slice(0, rows.includes('"needsCommand":true') ? 2 : 1).join('\n'))
  return parts.join('\n\n')
}

function argumentRow(argument: RecipeDescription['arguments'][number]): string[] {
  const { name, choices, required, secret, description } = argument
  const notes = [
    argument.value !== undefined && argument.value !== argument.default
      ? `= ${argument.value}`
      : argument.default === undefined
        ? undefined
        : `default ${argument.default === '' ? 'empty' : argument.default}`,
    required ? 'required' : undefined,
    secret ? 'secret' : undefined,
    choices ? `one of ${choices.join(', ')}` : undefined,
  ]
  return [`  ${name}`, notes.filter((note) => note !== undefined).join('; '), description]
}

function stepRows(step: StepDescription, indent: string, flows: readonly Flow[]): string[][] {
  const notes = [
    step.when === undefined ? '' : `  when ${step.when}`,
    step.on === undefined ? '' : `  on ${step.on}s only`,
    step.needsCommand ? ' *' : '',
  ].join('')
  const row = [
    `${indent}${step.title}${notes}`,
    ...flows.map((flow) => (step.flows[flow] === 'choose' ? '' : step.flows[flow])),
  ]
  const below = step.branches.flatMap(({ label, steps }) => [
    ...(label === step.validator ? [] : [[`${indent}  ${label}:`]]),
    ...steps.flatMap((child) =>
      stepRows(child, `${indent}${label === step.validator ? '  ' : '    '}`, flows),
    ),
  ])
  return [row, ...below]
}
