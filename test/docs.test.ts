/** Pages that are made from the code are as the code is, and what they show works. */
import assert from 'node:assert/strict'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { parse } from 'yaml'
import { makeDocs } from '../scripts/make-docs.ts'
import { openTokenAuthenticator } from '../src/access/identity/token.ts'
import { makePolicy, openPolicy } from '../src/access/policy.ts'
import { builtinValidators, validatorMap } from '../src/app/builtin.ts'
import { loadConfig, SETTINGS } from '../src/app/config.ts'
import { FAILURES } from '../src/base/failures.ts'
import { silentLog } from '../src/base/log.ts'
import { findProgram, runTool } from '../src/base/process.ts'
import { MiB } from '../src/base/units.ts'
import { memorySource } from '../src/bytes/source.ts'
import { parseSource } from '../src/formats/_parse-source.ts'
import type { DiskParser, Extent } from '../src/formats/parser.ts'
import { parseRecipe } from '../src/recipes/parse-recipe.ts'
import { formatFault } from '../src/recipes/read-recipe.ts'
import { makeSparseDisk } from '../src/testing/sparse-disk.ts'
import { openTestServer } from '../src/testing/test-service.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const ROOT = join(import.meta.dirname, '..')
const inTemp = await tempDir()
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

const made = await makeDocs()

describe('what is made from the code', () => {
  for (const [path, text] of made)
    it(`${path} is as the code is (else run \`make docs\`)`, () => {
      assert.equal(read(path), text)
    })

  it('docs/failures.md lists every failure, and no other', () => {
    const listed = [...read('docs/failures.md').matchAll(/^\| `([A-Z_]+)` /gm)].map(
      ([, code]) => code,
    )
    assert.deepEqual(listed, Object.keys(FAILURES))
  })

  it('docs/recipes.md lists every validator, and no other', () => {
    const listed = [...read('docs/recipes.md').matchAll(/^#### `([a-z_]+)`/gm)].map(
      ([, name]) => name,
    )
    assert.deepEqual(
      listed,
      builtinValidators.map(({ name }) => name),
    )
  })
})

describe('the YAML that the pages show', () => {
  for (const page of ['docs/recipes.md', 'docs/sahara.md'])
    for (const [index, yaml] of yamlOf(read(page)).entries())
      it(`loads without a fault or a warning: ${page}, block ${index + 1}`, () => {
        const { faults } = parseRecipe(toRecipe(yaml), {
          file: page,
          resourceRoots: [],
          validators: validatorMap(),
          readResource: () => Buffer.from('#!/bin/sh\n[ "$test_only" = 0 ]\n'),
        })
        const told = faults.map(formatFault)
        // A piece of a recipe passes arguments that the whole would declare.
        assert.deepEqual(
          told.filter((line) => !/declared or set/.test(line)),
          [],
        )
      })
})

describe('the configuration that docs/operating.md and packaging/ show', () => {
  const context = { now: () => new Date('2026-01-01T00:00:00Z'), log: silentLog }
  const load: Readonly<Record<string, (path: string) => unknown>> = {
    'ingot.yaml': (file) => loadConfig({ file, env: {} }),
    'policy.yaml': (file) => openPolicy({ file }),
    'tokens.yaml': (file) => openTokenAuthenticator(file, makePolicy(), context),
  }
  const whole = read('packaging/ingot.yaml')
  const shown = [
    whole,
    whole.replaceAll(/^( *)#(?=[^ ])/gm, '$1'), // with what it leaves out
    ...yamlOf(read('docs/operating.md')),
    ...yamlOf(read('docs/imagefactory.md')),
  ]
  for (const [index, yaml] of shown.entries())
    it(`is one that the service takes: block ${index + 1}`, async () => {
      const [, name = 'ingot.yaml'] = /^# (\w+\.yaml)$/m.exec(yaml) ?? []
      const path = inTemp(`${index}-${name}`)
      writeFileSync(path, yaml)
      await load[name]?.(path)
      assert.ok(load[name], `nobody reads ${name}`)
    })

  it('names only settings that there are', () => {
    const page = read('docs/operating.md').replace(/^\| event \|.*?\n\n/ms, '')
    const named = [...page.matchAll(/`((?:auth|cache|image|import|quotas|stores)(?:\.\w+)+)/g)]
    const settings = SETTINGS.map(({ path }) => path.join('.'))
    const unknown = named
      .map(([, name = '']) => name)
      .filter((name) => !settings.some((one) => one === name || one.startsWith(`${name}.`)))
    assert.ok(named.length > 50)
    assert.deepEqual(unknown, [])
  })
})

describe('the commands that the pages show', () => {
  const missing = ['curl', 'qemu-img'].filter((name) => findProgram(name) === undefined)
  const skip = missing.length > 0 && `needs ${missing.join(', ')}`

  for (const [page, variable, least] of [
    ['docs/http.md', 'images', 4],
    ['docs/factory.md', 'ingot', 1],
  ] as const)
    it(`do what the page says: ${page}`, { skip }, async () => {
      const commands = [...read(page).matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
      const script = commands.map(([, text]) => text).join('')
      assert.ok(commands.length >= least)
      await makeSparseDisk(inTemp('disk.raw'), 8 * MiB)
      const toQcow2 = ['convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'disk.qcow2']
      await runTool(['qemu-img', ...toQcow2], { cwd: inTemp('') })
      await using server = await openTestServer({ callers: {} })
      const curl = `curl() { command curl --header 'X-Auth-Token: alice' "$@"; }`
      const text = `set -euo pipefail; ${variable}=${server.url}; ${curl}; ${script}`
      await runTool(['bash', '-c', text], { cwd: inTemp(''), timeoutMs: 300_000 })
    })
})

describe('the parser that docs/formats.md shows', () => {
  it('reads what it says it reads, and refuses what it says it refuses', async () => {
    const [, code = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(read('docs/formats.md')) ?? []
    const path = inTemp('toy.ts')
    const typed = `const MiB = 1024 * 1024\n${code.replace(': DiskParser', '')}`
    writeFileSync(path, typed)
    const { toyParser } = (await import(pathToFileURL(path).href)) as { toyParser: DiskParser }
    const toy = Buffer.alloc(2 * MiB)
    toy.writeBigUInt64LE(BigInt(3 * MiB), 8)
    toy.writeUInt32LE(1, 512 + 4)
    const seen: Extent[] = []
    const onExtent = (extent: Extent) => seen.push(extent)
    const good = await parseSource(toyParser, memorySource(toy), { onExtent })
    assert.deepEqual([good.disk?.virtualSize, good.findings], [3 * MiB, []])
    assert.deepEqual(seen, [{ kind: 'data', guest: MiB, length: MiB, host: MiB }])
    toy.writeUInt32LE(1, 512 + 8)
    const shared = await parseSource(toyParser, memorySource(toy))
    toy.writeUInt32LE(9, 512 + 8)
    const cut = await parseSource(toyParser, memorySource(toy))
    const codes = [shared, cut].map(({ findings }) => findings.map(({ code, at }) => [code, at]))
    assert.deepEqual(codes, [[['OVERLAP', 520]], [['TRUNCATED', 520]]])
  })
})

describe('links between pages', () => {
  it('lead to files that are there', () => {
    for (const page of globSync(['README.md', 'docs/**/*.md'], { cwd: ROOT }))
      for (const [, target = ''] of read(page).matchAll(/\]\(([^)#:\s]+\.\w+)(?:#[^)]*)?\)/g))
        assert.doesNotThrow(() => read(join(page, '..', target)), `${page} links to ${target}`)
  })
})

describe('the tests that docs/sahara.md names', () => {
  const tests = globSync(['test/**/*.test.ts', 'src/**/*.test.ts'], { cwd: ROOT })
  const page = read('docs/sahara.md')

  it('are there, with the words that it quotes in their titles', () => {
    const anchors = [...page.matchAll(/`([a-z-]+\.test\.ts)` “([^”]+)”/g)]
    assert.ok(anchors.length > 30)
    for (const [, name = '', words = ''] of anchors) {
      const path = tests.find((one) => one.endsWith(`/${name}`))
      assert.ok(path, name)
      assert.ok(read(path).includes(words), `${name}: ${words}`)
    }
  })

  it('stand in every row of a difference', () => {
    const rows = page.slice(page.indexOf('## Differences'), page.indexOf('## Moving')).split('\n')
    for (const row of rows.filter(
      (line) => line.startsWith('| ') && !/^\| (Sahara|---)/.test(line),
    ))
      assert.match(row, /`[a-z-]+\.test\.ts` “[^”]+” \|$/)
  })
})

function yamlOf(page: string): string[] {
  return [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml]) => yaml ?? '')
}

/** A block may be a whole recipe, or only its steps. */
function toRecipe(yaml: string): string {
  if (!Array.isArray(parse(yaml))) return yaml
  return `validators:\n${yaml.replaceAll(/^/gm, '  ')}`
}
