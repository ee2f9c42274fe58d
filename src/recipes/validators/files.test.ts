import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { openBench, parseSteps } from '../../testing/recipe-bench.ts'

const PASSWD = { '/etc/passwd': 'web:x:33:33::/:/bin/sh\n', '/etc/group': 'web:x:34:\n' }

function invalid(steps: string, message: RegExp): void {
  assert.throws(
    () => parseSteps(steps),
    (error: Error) => failsWith('RECIPE_INVALID')(error) && message.test(error.message),
  )
}

describe('file', () => {
  it('is written once, with owner and mode, and then holds', async () => {
    const bench = openBench({ files: PASSWD })
    const steps =
      '- file: {path: "/srv/a b/motd", content: "hi {{ x }}\\n", owner: web, group: "34", mode: "0640"}'
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    const { mode, uid, gid } = bench.files.stat('/srv/a b/motd')!
    assert.deepEqual({ mode, uid, gid }, { mode: 0o640, uid: 33, gid: 34 })
    assert.equal(bench.text('/srv/a b/motd'), 'hi {{ x }}\n')
    assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
  })

  it('says which line is not the same, and changes nothing in test-only', async () => {
    const bench = openBench({ files: { '/etc/a': 'one\ntwo\n' } })
    const [verdict] = await bench.test(
      '- file: {path: /etc/a, content: "one\\n2\\n", mode: "0600"}',
    )
    assert.deepEqual(verdict?.differences, [
      { what: 'content of /etc/a', expected: 'line 2: 2', found: 'line 2: two' },
      { what: 'mode of /etc/a', expected: '0600', found: '0644' },
    ])
    assert.deepEqual(bench.changes(), [])
  })

  it('takes its content from a template, a file beside the recipe, or both', async () => {
    const bench = openBench({
      values: { port: '80' },
      resources: { 'a.conf': 'port {{ port }}\n' },
    })
    await bench.reconcile(`
- file: {path: /1, template: "listen {{ port }} on {{ facts.distro }}"}
- file: {path: /2, source: a.conf}
- file: {path: /3, template_source: a.conf}
- file: {path: "/{{ port }}"}`)
    assert.equal(bench.text('/1'), 'listen 80 on debian')
    assert.equal(bench.text('/2'), 'port {{ port }}\n')
    assert.equal(bench.text('/3'), 'port 80\n')
    assert.equal(bench.text('/80'), '')
  })

  it('keeps owner and mode that are not said', async () => {
    const bench = openBench({ files: { '/etc/a': 'old' } })
    bench.files.setAttributes('/etc/a', { mode: 0o600, uid: 7 })
    await bench.reconcile('- file: {path: /etc/a, content: new}')
    const { mode, uid } = bench.files.stat('/etc/a')!
    assert.deepEqual({ mode, uid }, { mode: 0o600, uid: 7 })
  })

  it('replaces a link, and never what the link points to', async () => {
    const bench = openBench({ files: { '/etc/target': 'precious' } })
    bench.files.link('/etc/a', '/etc/target')
    assert.equal((await bench.test('- file: {path: /etc/a, content: new}'))[0]?.status, 'differs')
    assert.equal(
      (await bench.reconcile('- file: {path: /etc/a, content: new}'))[0]?.status,
      'changed',
    )
    assert.equal(bench.text('/etc/target'), 'precious')
  })

  it('that must not be there is removed, and a directory never is', async () => {
    const bench = openBench({ files: { '/etc/a': '', '/etc/dir/x': '' } })
    const steps = '- file: {path: /etc/a, absent: true}'
    assert.equal((await bench.test(steps))[0]?.status, 'differs')
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
    const [verdict] = await bench.reconcile('- file: {path: /etc/dir, absent: true}')
    assert.equal(verdict?.status, 'failed')
    assert.equal(bench.text('/etc/dir/x'), '')
  })

  it('fails when the guest has no such owner', async () => {
    const [verdict] = await openBench({ files: { '/a': '' } }).test(
      '- file: {path: /a, owner: nobody}',
    )
    assert.match(verdict?.message ?? '', /no user 'nobody'/)
  })

  it('is refused with two contents, a bad path, a bad mode or a missing source', () => {
    invalid('- file: {path: /a, content: x, source: y}', /one content is enough/)
    invalid('- file: {path: etc/a, content: x}', /absolute path/)
    invalid('- file: {path: /etc/../a, content: x}', /without '\.\.'/)
    invalid('- file: {path: /a, mode: rw}', /octal/)
    invalid('- file: {path: /a, source: missing}', /no file 'missing'/)
    invalid('- file: {path: /a, absent: true, mode: "0600"}', /has no content, owner or mode/)
    invalid('- file: {path: /a, template: "{{ x"}', /template cannot be read/)
  })

  it('refuses a path that is bad only after it was filled in', async () => {
    const bench = openBench({ values: { name: '../../etc/shadow' } })
    const [verdict] = await bench.reconcile('- file: {path: "/srv/{{ name }}", content: x}')
    assert.equal(verdict?.status, 'failed')
    assert.deepEqual(bench.changes(), [])
  })
})

describe('directory', () => {
  it('is made with its parents, gets its owner, and then holds', async () => {
    const bench = openBench({ files: PASSWD })
    const steps = '- directory: {path: /srv/a/b, owner: web, mode: "0750"}\n- directory: /srv/a'
    assert.deepEqual(
      (await bench.reconcile(steps)).map(({ status }) => status),
      ['changed', 'held'],
    )
    const { type, mode, uid } = bench.files.stat('/srv/a/b')!
    assert.deepEqual({ type, mode, uid }, { type: 'directory', mode: 0o750, uid: 33 })
    assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
  })

  it('may be a link to one, whose owner is then looked at', async () => {
    const bench = openBench({ files: { '/data/www/x': '', '/srv/.keep': '' } })
    bench.files.link('/srv/www', '../data/www')
    assert.equal((await bench.test('- directory: /srv/www'))[0]?.status, 'held')
    await bench.reconcile('- directory: {path: /srv/www, mode: "0700"}')
    assert.equal(bench.files.stat('/data/www')?.mode, 0o700)
  })

  it('that must not be there goes with all that is in it; a file is left alone', async () => {
    const bench = openBench({ files: { '/srv/a/b/c': '', '/srv/file': '' } })
    assert.equal(
      (await bench.reconcile('- directory: {path: /srv/a, absent: true}'))[0]?.status,
      'changed',
    )
    assert.equal(bench.files.stat('/srv/a'), undefined)
    assert.equal((await bench.reconcile('- directory: /srv/file'))[0]?.status, 'failed')
  })

  it('is never the root directory', () => {
    invalid('- directory: {path: /, absent: true}', /other than \//)
  })
})
