/** What `file` and `script` hold in base64, and what they fetch when they run. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { publicWeb } from '../../bytes/public-web.ts'
import { openRemote } from '../../remotes/open-remote.ts'
import { openBench, parseSteps } from '../../testing/recipe-bench.ts'
import { makeScriptedRemote } from '../../testing/scripted-remote.ts'
import { openWebServer } from '../../testing/web-server.ts'
import { runRecipe } from '../run-recipe.ts'

describe('file', () => {
  it('has any bytes by base64', async () => {
    const bench = openBench()
    await bench.reconcile('- file: {path: /a, base64: "AP8K\\n"}')
    assert.deepEqual(Buffer.from(bench.files.read('/a') ?? []), Buffer.from([0, 255, 10]))
    assert.throws(() => parseSteps('- file: {path: /a, base64: "A"}'), /wanted a text in base64/)
  })

  it('has what an address has, asked once in a run, and then holds', async () => {
    await using server = await openWebServer({ '/a': 'from the web' })
    const steps = `- file: {path: /a, url: "${server.url}/a"}`
    const bench = openBench()
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    assert.equal(bench.text('/a'), 'from the web')
    assert.deepEqual(server.asked, ['/a'])
    assert.equal((await bench.test(steps))[0]?.status, 'held')
  })

  it('fails if the address has nothing', async () => {
    await using server = await openWebServer({})
    const bench = openBench()
    const [verdict] = await bench.reconcile(`- file: {path: /a, url: "${server.url}/a"}`)
    assert.match(verdict?.message ?? '', /the server answers 404/)
    assert.equal(bench.text('/a'), undefined)
  })

  it('asks for nothing but the web', () => {
    for (const url of ['ftp://a/b', 'file:///etc/passwd', 'a'])
      assert.throws(() => parseSteps(`- file: {path: /a, url: "${url}"}`), /cannot be fetched/)
  })
})

describe('script', () => {
  it('may stand in the recipe in base64, or at an address', async () => {
    await using server = await openWebServer({ '/s': '#!/bin/bash\necho web' })
    const bench = openBench({ otherwise: { code: 0 }, answers: [] })
    await bench.reconcile(`- script: {coded: {base64: "${btoa('echo coded')}"}}
- script: {fetched: {url: "${server.url}/s"}}`)
    const inputs = bench.calls.flatMap((call) =>
      call.kind === 'run' && call.command.input ? [Buffer.from(call.command.input).toString()] : [],
    )
    assert.deepEqual(inputs, ['echo coded', '#!/bin/bash\necho web'])
    assert.match(bench.commands().join('\n'), /\/bin\/bash \/run\/ingot-/)
  })

  it('has one text', () => {
    assert.throws(
      () => parseSteps('- script: {a: {inline: b, url: "http://c/"}}'),
      /one of 'inline', 'base64' and 'url' is enough/,
    )
  })
})

describe('a recipe of a stranger', () => {
  it('does not make this host ask for private addresses', async () => {
    await using server = await openWebServer({ '/a': 'private' })
    const { driver } = makeScriptedRemote({})
    const context = makeContext()
    const { verdicts } = await runRecipe(
      parseSteps(`- file: {path: /a, url: "${server.url}/a"}`),
      openRemote(driver, context),
      {
        mode: 'reconcile',
        values: new Map(),
        cacheDir: '/nonexistent',
        webRules: publicWeb([], 'no'),
      },
      context,
    )
    assert.match(verdicts[0]?.message ?? '', /not on the public internet/)
    assert.deepEqual(server.asked, [])
  })
})
