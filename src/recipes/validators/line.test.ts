import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { openBench, parseSteps } from '../../testing/recipe-bench.ts'

const SSHD = '# sshd\n#PermitRootLogin prohibit-password\nPort 22\nPermitRootLogin yes\n'
const ROOT_LOGIN =
  '- line: {path: /etc/sshd, pattern: "^#?PermitRootLogin\\\\b", line: PermitRootLogin no}'

describe('line', () => {
  it('takes the place of what matches, once, and keeps owner and mode', async () => {
    const bench = openBench({ files: { '/etc/sshd': SSHD } })
    bench.files.setAttributes('/etc/sshd', { mode: 0o600, gid: 5 })
    const [verdict] = await bench.reconcile(ROOT_LOGIN)
    assert.equal(verdict?.status, 'changed')
    assert.match(verdict?.differences[0]?.found ?? '', /prohibit-password \| PermitRootLogin yes/)
    assert.equal(bench.text('/etc/sshd'), '# sshd\nPermitRootLogin no\nPort 22\n')
    const { mode, gid } = bench.files.stat('/etc/sshd')!
    assert.deepEqual({ mode, gid }, { mode: 0o600, gid: 5 })
    assert.equal((await bench.reconcile(ROOT_LOGIN))[0]?.status, 'held')
  })

  it('is added at the end, behind a line that matches, or to a new file', async () => {
    const bench = openBench({ files: { '/etc/a': 'x\n[one]\ny\n' } })
    await bench.reconcile(`
- line: {path: /etc/a, line: last}
- line: {path: /etc/a, line: first, after: '^\\[one\\]'}
- line: {path: /etc/new, line: only}`)
    assert.equal(bench.text('/etc/a'), 'x\n[one]\nfirst\ny\nlast\n')
    assert.equal(bench.text('/etc/new'), 'only\n')
  })

  it('that must not be there goes wherever it stands', async () => {
    const bench = openBench({ files: { '/etc/fstab': 'a swap b\nroot\nc swap d\n' } })
    const steps = '- line: {path: /etc/fstab, pattern: " swap ", absent: true}'
    assert.equal((await bench.test(steps))[0]?.status, 'differs')
    assert.deepEqual(bench.changes(), [])
    await bench.reconcile(steps)
    assert.equal(bench.text('/etc/fstab'), 'root\n')
    assert.equal(
      (await bench.test('- line: {path: /none, line: x, absent: true}'))[0]?.status,
      'held',
    )
  })

  it('is written into the file a link points to, so that the link stays', async () => {
    const bench = openBench({ files: { '/run/real': 'a\n' } })
    bench.files.link('/etc/link', '/run/real')
    await bench.reconcile('- line: {path: /etc/link, line: b}')
    assert.equal(bench.text('/run/real'), 'a\nb\n')
    assert.equal(bench.files.stat('/etc/link')?.type, 'link')
  })

  it('never holds a second line that an argument brought in', async () => {
    const bench = openBench({ values: { text: 'a\nb' }, files: { '/etc/a': '' } })
    const [verdict] = await bench.reconcile('- line: {path: /etc/a, line: "{{ text }}"}')
    assert.match(verdict?.message ?? '', /must be a single line/)
    assert.equal(bench.text('/etc/a'), '')
  })

  it('is refused without a line, or with a pattern that is none', () => {
    for (const [steps, message] of [
      ['- line: {path: /a}', /'line' is missing/],
      ['- line: {path: /a, absent: true}', /wanted 'line' or 'pattern'/],
      ['- line: {path: /a, line: x, pattern: "("}', /not a regular expression/],
      ['- line: {path: /a, line: "a\\nb"}', /single line/],
    ] as const)
      assert.throws(
        () => parseSteps(steps),
        (error: Error) => failsWith('RECIPE_INVALID')(error) && message.test(error.message),
      )
  })
})
