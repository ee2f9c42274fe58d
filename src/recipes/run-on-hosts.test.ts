import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeScriptedRemote, type RemoteScript } from '../testing/scripted-remote.ts'
import { recipeOf } from '../testing/recipe-text.ts'
import type { Report } from './report.ts'
import { type Host, type HostRunOptions, runOnHosts } from './run-on-hosts.ts'

const RECIPE = `
arguments:
  word: {default: hello}
  key: {secret: true, required: true}
validators:
  - file: {path: /etc/word, template: "{{ word }}"}
`
const OPTIONS: HostRunOptions = {
  mode: 'reconcile',
  values: new Map([['key', 'not-to-be-seen']]),
  cacheDir: '/nonexistent',
  jobs: 2,
}

const host = (name: string, script: RemoteScript = {}) => {
  const scripted = makeScriptedRemote({ name, place: 'host', answers: [], ...script })
  const open: Host['open'] = async () => scripted.driver
  return { ...scripted, host: { name, via: 'scripted', open } }
}
const textOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString()
const broken = (name: string, error: unknown): Host => ({
  name,
  via: 'scripted',
  open: () => Promise.reject(error),
})

describe('a recipe on hosts', () => {
  it('is carried out on each, and the reports come in the order of the hosts', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => host(name))
    b!.files.write('/etc/word', Buffer.from('hello'), { mode: 0o644, uid: 0, gid: 0 })
    const recipe = recipeOf(RECIPE)
    const reports = await runOnHosts(recipe, [a!.host, b!.host, c!.host], OPTIONS, makeContext())
    assert.deepEqual(
      reports.map(({ target, verdicts }) => [target.name, verdicts[0]?.status]),
      [
        ['a', 'changed'],
        ['b', 'held'],
        ['c', 'changed'],
      ],
    )
    for (const { files, calls } of [a!, b!, c!]) {
      assert.equal(textOf(files.read('/etc/word')), 'hello')
      assert.deepEqual(
        calls.slice(-2).map(({ kind }) => kind),
        ['finish', 'close'],
      )
    }
  })

  it('goes on with the others when one cannot be reached, and says what to try', async () => {
    const failure = new Failure('REMOTE_DENIED', 'a: no key, but not-to-be-seen', {
      fix: 'ssh-add',
    })
    const b = host('b')
    const told: Report[] = []
    const options = { ...OPTIONS, onReport: (report: Report) => void told.push(report) }
    const recipe = recipeOf(RECIPE)
    const reports = await runOnHosts(recipe, [broken('a', failure), b.host], options, makeContext())
    assert.deepEqual(
      reports.map(({ ok }) => ok),
      [false, true],
    )
    assert.equal(reports[0]?.verdicts[0]?.message, 'a: no key, but ***\nssh-add')
    assert.equal(told.length, 2)
  })

  it('works on so many at once as it is told, and no more', async () => {
    let now = 0
    let most = 0
    const hosts = ['a', 'b', 'c', 'd', 'e'].map((name): Host => {
      const { host: one, driver } = host(name)
      const open: Host['open'] = async () => {
        most = Math.max(most, ++now)
        await new Promise(setImmediate)
        return { ...driver, [Symbol.asyncDispose]: async () => void now-- }
      }
      return { ...one, open }
    })
    await runOnHosts(recipeOf(RECIPE), hosts, OPTIONS, makeContext())
    assert.equal(most, 2)
  })

  it('reaches no host when the arguments are wrong', async () => {
    const a = host('a')
    const recipe = recipeOf(RECIPE)
    const options = { ...OPTIONS, values: new Map<string, string>() }
    await assert.rejects(
      runOnHosts(recipe, [a.host], options, makeContext()),
      failsWith('ARGUMENT_INVALID'),
    )
    assert.equal(a.calls.length, 0)
  })

  it('ends all when interrupted', async () => {
    const stop = new AbortController()
    const a = host('a')
    const open: Host['open'] = async (context) => {
      stop.abort()
      return await a.host.open(context)
    }
    const context = makeContext({ signal: stop.signal })
    const recipe = recipeOf(RECIPE)
    await assert.rejects(
      runOnHosts(recipe, [{ ...a.host, open }], OPTIONS, context),
      failsWith('INTERRUPTED'),
    )
    assert.deepEqual(a.changes(), [])
  })

  it('lets a bug be a bug, once the others are done', async () => {
    const b = host('b')
    const recipe = recipeOf(RECIPE)
    const hosts = [broken('a', new TypeError('a bug')), b.host]
    await assert.rejects(runOnHosts(recipe, hosts, OPTIONS, makeContext()), TypeError)
    assert.equal(textOf(b.files.read('/etc/word')), 'hello')
  })
})
