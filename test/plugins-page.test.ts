/** docs/plugins.md names every kind of part and every built-in one, and no other; what it offers is there. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { builtinValidators } from '../src/app/builtin.ts'
import { cloudTargets, osBuilders } from '../src/app/builtin-factory.ts'
import { importMethods, importSteps, storeDrivers } from '../src/app/builtin-service.ts'
import { hostUplink } from '../src/remotes/uplink.ts'
import * as door from '../src/plugin.ts'
import * as suites from '../src/testing/index.ts'

const PAGE = readFileSync(join(import.meta.dirname, '../docs/plugins.md'), 'utf8')
const NOTHING = { proxies: {}, openstack: {}, uplink: hostUplink }
const HOST = { cacheDir: '/nonexistent', ...NOTHING, version: '0' }

/** First cells of the table whose head begins with these words, in the section of that name. */
function rowsOf(section: string, head: string): (string | undefined)[] {
  const [, text = ''] = PAGE.split(`\n## ${section}\n`)
  const [, table = ''] = (text.split('\n## ')[0] ?? '').split(`\n| ${head} |`)
  const [rows = ''] = table.split('\n\n')
  return [...rows.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name)
}

const namesOf = (parts: readonly { readonly name: string }[]) => parts.map(({ name }) => name)

describe('docs/plugins.md', () => {
  for (const [section, head, parts] of [
    ['OS builders', 'built-in', osBuilders(HOST, { remotes: {} })],
    ['Cloud targets', 'built-in', cloudTargets(HOST)],
    ['Store drivers', 'built-in', storeDrivers],
    ['Import methods and steps', 'built-in method', importMethods],
    ['Import methods and steps', 'built-in step', importSteps],
  ] as const)
    it(`${section}, ${head}: names all that there are, in their order`, () => {
      assert.deepEqual(rowsOf(section, head), namesOf(parts))
    })

  it('names all validators', () => {
    const [, list = ''] = /<!-- validators -->([^]*?)<!-- end -->/.exec(PAGE) ?? []
    assert.deepEqual(
      [...list.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
      namesOf(builtinValidators),
    )
  })

  it('offers only suites and functions that there are', () => {
    const offered = [...PAGE.matchAll(/`((?:define|test|make)[A-Z]\w+|storeContract)`/g)]
    assert.ok(offered.length > 6)
    for (const [, name = ''] of offered) assert.ok(name in door || name in suites, name)
  })
})
