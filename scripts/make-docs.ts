/**
 * Makes what is made from the code: the reference in docs/recipes.md, tables in docs/formats.md, docs/http.md,
 * docs/installer.md, docs/operating.md, docs/factory.md and docs/targets.md, docs/failures.md, and schema/recipe.schema.json. `make docs` runs it; test/docs.test.ts compares.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { builtinValidators } from '../src/app/builtin.ts'
import { FAILURES } from '../src/base/failures.ts'
import { formatSize } from '../src/base/units.ts'
import { installerOptions } from '../src/factory/installer/installer-options.ts'
import { FINDINGS } from '../src/formats/finding.ts'
import { VIEW_FORMATS, viewFormatOfPath } from '../src/formats/views.ts'
import { baseSchema, diskSchema } from '../src/recipes/base-schema.ts'
import { recipeJsonSchema } from '../src/recipes/json-schema.ts'
import { argumentSchema, stepSchema } from '../src/recipes/recipe-schema.ts'
import type { Validator } from '../src/recipes/validator.ts'
import { listKeys, nameShape } from '../src/schema/list-keys.ts'
import { makeBuilders, makeTargets } from './_factory-docs.ts'
import { keyTable, toTable } from './_markdown.ts'
import {
  makeImportMethods,
  makeImportSteps,
  makeMediaTypes,
  makeRoutes,
  makeRules,
  makeSettings,
  makeStores,
} from './_service-docs.ts'

const ROOT = join(import.meta.dirname, '..')

/** Every generated file, by its path from the root, as it should be. */
export async function makeDocs(): Promise<Map<string, string>> {
  return new Map([
    ['docs/recipes.md', withParts('docs/recipes.md', { '': makeReference(builtinValidators) })],
    [
      'docs/formats.md',
      withParts('docs/formats.md', { views: makeViews(), findings: makeFindings() }),
    ],
    [
      'docs/http.md',
      withParts('docs/http.md', {
        routes: await makeRoutes(),
        formats: makeMediaTypes(),
        methods: makeImportMethods(),
        steps: makeImportSteps(),
      }),
    ],
    [
      'docs/operating.md',
      withParts('docs/operating.md', {
        settings: makeSettings(),
        stores: makeStores(),
        rules: makeRules(),
      }),
    ],
    [
      'docs/installer.md',
      withParts('docs/installer.md', { parameters: keyTable(installerOptions) }),
    ],
    ['docs/factory.md', withParts('docs/factory.md', makeBuilders())],
    ['docs/targets.md', withParts('docs/targets.md', makeTargets())],
    ['docs/failures.md', makeFailures()],
    [
      'schema/recipe.schema.json',
      `${JSON.stringify(recipeJsonSchema(builtinValidators), undefined, 2)}\n`,
    ],
  ])
}

/** A page with what stands between its marks made anew, by the name in the mark. */
function withParts(path: string, parts: Readonly<Record<string, string>>): string {
  let page = readFileSync(join(ROOT, path), 'utf8')
  for (const [name, text] of Object.entries(parts)) {
    const [begin, end] = ['begin', 'end'].map(
      (side) => `<!-- made by scripts/make-docs.ts: ${[side, name].join(' ').trim()} -->`,
    ) as [string, string]
    const from = page.indexOf(begin)
    const to = page.indexOf(end)
    if (from < 0 || to < from) throw new Error(`${path} has lost the marks ${begin}`)
    page = `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`
  }
  return page
}

/** The formats that can be written and viewed. */
function makeViews(): string {
  const rows = VIEW_FORMATS.map(({ name, summary, endings, maxVirtualSize }) => [
    `\`${name}\``,
    summary,
    endings
      .filter((ending) => viewFormatOfPath(`disk.${ending}`)?.name === name)
      .map((ending) => `.${ending}`)
      .join(' '),
    maxVirtualSize === undefined ? '' : formatSize(maxVirtualSize),
  ])
  return toTable(['format', 'for', 'told by the ending', 'largest disk'], rows)
}

/** What an inspection may find. */
function makeFindings(): string {
  const rows = Object.entries(FINDINGS).map(([code, { severity, title }]) => [
    `\`${code}\``,
    severity,
    title,
  ])
  return toTable(['code', 'severity', 'what it means'], rows)
}

/** The reference of the recipe language. */
function makeReference(validators: readonly Validator[]): string {
  return [
    '### Beside any validator',
    keyTable(stepSchema),
    '### An argument',
    'What may stand below the name of an argument, in `arguments`.',
    keyTable(argumentSchema),
    '### `base` and `disk`',
    'How `ingot build` makes the operating system and its disk. Other commands do not look at them.',
    keyTable(baseSchema, 'base.'),
    keyTable(diskSchema, 'disk.'),
    '### Validators',
    validators.map(({ name }) => `[\`${name}\`](#${name})`).join(' · '),
    ...validators.map(makeEntry),
  ].join('\n\n')
}

function makeEntry({ name, summary, description, example, schema }: Validator): string {
  const form = nameShape(schema)
  const rows = listKeys(schema)
  return [
    `#### \`${name}\``,
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.${description === undefined ? '' : ` ${description}`}`,
    `\`\`\`yaml\n${example.trim()}\n\`\`\``,
    ...(form === 'mapping'
      ? []
      : [`Written as: ${form.replace(/\bmapping$/, 'a mapping with these keys')}.`]),
    ...(rows.length > 0 ? [keyTable(schema)] : []),
  ].join('\n\n')
}

/** The page of failures. */
function makeFailures(): string {
  const rows = Object.entries(FAILURES).map(([code, kind]) => [
    `\`${code}\``,
    String(kind.exit),
    String(kind.status),
    kind.title,
    'fix' in kind ? kind.fix : '',
  ])
  return `# Failures

Everything that can go wrong and was foreseen has a code. \`ingot\` prints the message, what usually helps, and ends with the exit
code; with \`--json\` it prints \`{"error": {"code", "title", "message", "details", "fix"}}\`. Anything else is a bug in Ingot: exit code 70.

Exit codes: 0 done · 1 failed · 2 wrong use · 3 not found · 4 the answer is no · 70 a bug · 130 interrupted.

${toTable(['code', 'exit', 'HTTP', 'what it is', 'what usually helps'], rows)}

<!-- made by scripts/make-docs.ts from src/base/failures.ts -->
`
}

if (process.argv[1] === import.meta.filename)
  for (const [path, text] of await makeDocs()) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true })
    writeFileSync(join(ROOT, path), text)
  }
