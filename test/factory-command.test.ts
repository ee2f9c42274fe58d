/** `ingot factory` and `ingot imagefactory` as people use them: embedded, and against a server. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exitOf, runProcess, startProcess } from '../src/base/process.ts'
import { untilItPrints } from '../src/testing/processes.ts'
import { tempDir } from '../src/testing/temp-dir.ts'
import { openTestServer } from '../src/testing/test-service.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const temp = await tempDir()
const env = { PATH: process.env['PATH'] ?? '', HOME: temp('') }
const tdl = (os: string) =>
  `<template><name>golden</name><os><name>${os}</name><version>1</version><arch>x86_64</arch><install type='url'><url>http://mirror.example/os/</url></install></os></template>`
writeFileSync(temp('mock.tdl'), tdl('MockOS_A'))
writeFileSync(temp('broken.tdl'), tdl('MockOS_A').replace('<install', '<intall'))
writeFileSync(temp('disk.raw'), new Uint8Array(1024))
writeFileSync(temp('credentials.xml'), '<provider_credentials/>')
writeFileSync(temp('parameters.json'), '{"mock_size": 1024, "mock_console": "from all"}')
writeFileSync(temp('console.txt'), 'from a file\n')

function commandOf(...more: string[]) {
  return async (...words: string[]) => {
    const { code, stdout, stderr } = await runProcess([INGOT, ...words, ...more], { env })
    return { code, stdout: stdout.toString(), stderr: stderr.toString() }
  }
}

const SUMMARY =
  /^============ Final Image Details ============\nUUID: [0-9a-f-]{36}\nType: base_image\nImage filename: .+\nImage build completed SUCCESSFULLY!\n$/

describe('ingot factory, embedded', () => {
  const ingot = commandOf('--data-dir', temp('embedded'))

  it('builds a chain by template, and says at the end what it made', async () => {
    const base = await ingot('factory', 'base', temp('mock.tdl'))
    assert.equal(base.code, 0, base.stderr)
    assert.match(base.stdout, SUMMARY)
    assert.match(base.stderr, /^base image: complete {2}100 %$/m)
    const words = ['factory', 'provider', 'mock', 'somewhere', '--template', temp('mock.tdl')]
    const pushed = await ingot(...words, '--json')
    assert.equal(pushed.code, 0, pushed.stderr)
    const build = JSON.parse(pushed.stdout)
    assert.deepEqual(
      [build.status, build.type, build.provider],
      ['COMPLETE', 'provider', 'somewhere'],
    )
    const listed = JSON.parse((await ingot('factory', 'images', '--json')).stdout)
    assert.equal(listed.length, 4)
  })

  it('takes parameters from a file, then from words, then from files', async () => {
    const flags = ['--parameters', temp('parameters.json'), '--parameter', 'mock_size=2048']
    const file = ['--file-parameter', `mock_console=${temp('console.txt')}`]
    const made = await ingot('factory', 'base', temp('mock.tdl'), ...flags, ...file, '--json')
    assert.equal(made.code, 0, made.stderr)
    const { id, parameters } = JSON.parse(made.stdout)
    assert.deepEqual(
      [Number(parameters.mock_size), parameters.mock_console],
      [2048, 'from a file\n'],
    )
    const { stdout } = await ingot('factory', 'logs', id)
    assert.match(stdout, /^from a file$/m)
  })

  it('ends with 1 for a build that failed, 2 for a wrong template or flag, 3 for what is not there', async () => {
    const base = ['factory', 'base', temp('mock.tdl')]
    const failed = await ingot(...base, '--parameter', 'mock_fail=no luck')
    assert.equal(failed.code, 1, failed.stderr)
    assert.match(failed.stdout, /^Image build FAILED with error: .*no luck/m)
    const broken = await ingot('factory', 'base', temp('broken.tdl'))
    assert.equal(broken.code, 2, broken.stderr)
    assert.match(broken.stderr, /broken\.tdl:1:118: this is no well-formed XML/)
    assert.match(broken.stderr, /Run `ingot tdl check .*broken\.tdl`/)
    const image = await ingot('factory', 'base', temp('disk.raw'))
    assert.deepEqual([image.code, /wanted a text in UTF-8/.test(image.stderr)], [2, true])
    const unknown = await ingot('factory', 'plugins', 'opnstack')
    assert.deepEqual([unknown.code, /did you mean 'openstack'/.test(unknown.stderr)], [2, true])
    assert.equal((await ingot(...base, '--parameter', 'nonsense')).code, 2)
    assert.equal((await ingot('factory', 'target', 'mock')).code, 2)
    assert.equal((await ingot('factory', 'show', 'nothing')).code, 3)
    assert.equal((await ingot('factory', 'reap', 'nothing', '--list')).code, 3)
    assert.equal((await ingot('factory', 'base', temp('nothing.tdl'))).code, 3)
  })

  it('saves an image as its target wants it, whole or not at all', async () => {
    const words = ['target', 'mock', '--template', temp('mock.tdl'), '--json']
    const made = await ingot('factory', ...words)
    assert.equal(made.code, 0, made.stderr)
    const { id } = JSON.parse(made.stdout)
    const save = ['factory', 'save', id, '--output', temp('saved.raw')]
    assert.equal((await ingot(...save)).code, 0)
    assert.match(readFileSync(temp('saved.raw'), 'utf8'), /^Mock base image /)
    assert.equal((await ingot(...save)).code, 2)
    const piped = await ingot('factory', 'save', id, '--output', '-')
    assert.equal(piped.stdout, readFileSync(temp('saved.raw'), 'utf8'))
    const failed = await ingot('factory', 'base', temp('mock.tdl'), '--parameter', 'mock_fail=x')
    const none = ['factory', 'save', /UUID: (.*)/.exec(failed.stdout)?.[1] ?? '']
    assert.equal((await ingot(...none, '--output', temp('none.raw'))).code, 1)
    assert.equal(existsSync(temp('none.raw')), false)
  })

  it('takes a name for what a stage is made of, whatever else is called so', async () => {
    const base = ['factory', 'base', temp('mock.tdl'), '--json']
    const { id } = JSON.parse((await ingot(...base)).stdout)
    const made: { parent_id: string; id: string }[] = []
    for (const words of [
      ['target', 'mock'],
      ['target', 'mock'],
      ['provider', 'mock', 'x'],
    ]) {
      const { code, stdout, stderr } = await ingot('factory', ...words, '--id', 'golden', '--json')
      assert.equal(code, 0, stderr)
      made.push(JSON.parse(stdout))
    }
    assert.deepEqual(
      made.map((one) => one.parent_id),
      [id, id, made[1]?.id],
    )
    const saved = await ingot('factory', 'save', 'golden', '--output', '-') // newest is what has no body here
    assert.match(saved.stdout, /^Mock base image /, saved.stderr)
    assert.match(saved.stderr, /^save {2}golden$/m) // before what has to be made first
    const pushed = await ingot('factory', 'save', made[2]?.id ?? '', '--output', '-')
    assert.equal(pushed.code, 3)
    assert.match(pushed.stderr, new RegExp(`Take what it was made of: ${made[1]?.id}`))
    const words = ['provider', 'openstack', 'nowhere', '--template', temp('mock.tdl')]
    const nowhere = await ingot('factory', ...words)
    assert.deepEqual(
      [nowhere.code, /no provider 'nowhere' of target openstack/.test(nowhere.stderr)],
      [2, true],
    )
  })

  it('puts itself in order when nobody reads what it says', async () => {
    const [command, home] = [`"${INGOT}" factory plugins --data-dir "$HOME/unread"`, temp('unread')]
    mkdirSync(join(home, 'tmp'), { recursive: true })
    const run = await runProcess(['bash', '-c', `${command} | true; exit \${PIPESTATUS[0]}`], {
      env: { ...env, HOME: home, TMPDIR: join(home, 'tmp') },
    })
    assert.deepEqual([run.code, run.stderr.toString()], [0, ''])
    assert.deepEqual(readdirSync(join(home, 'tmp')), [])
  })

  it('says so when there is nothing in a log', async () => {
    const alone = commandOf('--data-dir', temp('silent'))
    const words = ['--template', temp('mock.tdl'), '--no-follow', '--json']
    const waits = ['--parameter', 'mock_wait=600'] // so that nobody gets to the target
    const { stdout } = await alone('factory', 'target', 'mock', ...words, ...waits)
    const { stderr } = await alone('factory', 'logs', JSON.parse(stdout).id)
    assert.match(stderr, /target image .* \(PENDING\) has told nothing yet/)
  })

  it('cancels its build at Ctrl-C, and waits until what it made is removed', async () => {
    const flags = ['--parameter', 'mock_wait=600', '--parameter', 'mock_hold=2']
    const argv = [INGOT, 'factory', 'base', temp('mock.tdl'), ...flags]
    const child = startProcess([...argv, '--data-dir', temp('embedded')], { env })
    const ended = exitOf(child, 'ingot')
    await untilItPrints(child, 'making a mock image')
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    const [newest] = JSON.parse((await ingot('factory', 'images', '--json')).stdout)
    assert.deepEqual([newest.status, newest.error], ['FAILED', 'cancelled'])
    const left = await ingot('factory', 'reap', '--list')
    assert.match(left.stderr, /nothing is left/)
  })
})

describe('ingot factory against a server', () => {
  it('orders, follows, cancels and deletes there', async () => {
    await using server = await openTestServer()
    writeFileSync(temp('token'), 'alice\n')
    const ingot = commandOf('--endpoint', server.url, '--token-file', temp('token'))
    const asked = await ingot(
      'factory',
      'base',
      temp('mock.tdl'),
      '--parameter',
      'mock_wait=600',
      '--json',
    )
    assert.equal(asked.code, 0, asked.stderr)
    const { id, status } = JSON.parse(asked.stdout)
    assert.equal(status, 'NEW')
    assert.equal((await ingot('factory', 'cancel', id)).code, 0)
    const made = await ingot('factory', 'base', temp('mock.tdl'), '--follow')
    assert.match(made.stdout, SUMMARY)
    const gone = await ingot('factory', 'delete', 'golden')
    assert.equal(gone.code, 0, gone.stderr)
    const denied = await commandOf('--endpoint', server.url)('factory', 'images')
    assert.deepEqual([denied.code, /token/.test(denied.stderr)], [1, true])
  })
})

const imagefactory = async (...words: string[]) =>
  await commandOf('--data-dir', temp('imagefactory'))('imagefactory', ...words)

describe('ingot imagefactory', () => {
  it('takes Image Factory’s command line, with its summary and exit codes', async () => {
    const parameters = [
      '--parameter',
      'generate_icicle',
      'false',
      '--file-parameter',
      'x',
      temp('console.txt'),
    ]
    const base = await imagefactory('--debug', 'base_image', temp('mock.tdl'), ...parameters)
    assert.equal(base.code, 0, base.stderr)
    assert.match(base.stdout, SUMMARY)
    const id = /UUID: (.*)/.exec(base.stdout)?.[1] ?? ''
    const target = await imagefactory('--output', 'json', 'target_image', 'mock', '--id', id)
    const flat = JSON.parse(target.stdout)
    assert.deepEqual([flat.status, flat.base_image_id, flat.target], ['COMPLETE', id, 'mock'])
    const words = ['mock', '@somewhere', temp('credentials.xml'), '--id', flat.identifier]
    const pushed = await imagefactory('provider_image', ...words)
    assert.match(pushed.stdout, /^Image ID on provider: [0-9a-f-]{36}$/m)
    const found = await imagefactory('--output', 'json', 'images', '{"type": "BaseImage"}')
    assert.deepEqual(
      JSON.parse(found.stdout).map((one: { identifier: string }) => one.identifier),
      [id],
    )
    assert.equal((await imagefactory('delete', id)).code, 0)
  })

  it('ends with 1 where Image Factory’s builds fail, and with 2 for wrong words', async () => {
    const broken = await imagefactory('base_image', temp('broken.tdl'))
    assert.equal(broken.code, 1, broken.stderr)
    assert.match(broken.stdout, /^Image build FAILED with error: /m)
    for (const words of [
      ['base_image'],
      ['nothing'],
      ['target_image', 'mock'],
      ['--nonsense', 'images', '{}'],
      ['base_image', temp('mock.tdl'), '--timeout', 'soon'],
    ])
      assert.equal((await imagefactory(...words)).code, 2, words.join(' '))
  })
})
