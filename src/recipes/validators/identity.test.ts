import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { openBench, parseSteps } from '../../testing/recipe-bench.ts'

const ROCKY = { '/etc/os-release': 'ID=rocky\nID_LIKE="rhel"\n' }

function refused(steps: string): void {
  assert.throws(() => parseSteps(steps), failsWith('RECIPE_INVALID'), steps)
}

describe('hostname', () => {
  it('is written, with its line in hosts as Debian has it, once', async () => {
    const bench = openBench({
      files: { '/etc/hostname': 'old\n', '/etc/hosts': '127.0.0.1 localhost\n127.0.1.1 old\n' },
    })
    const [before] = await bench.test('- hostname: web.example.org')
    assert.equal(before?.differences.length, 2)
    assert.deepEqual(bench.changes(), [])
    assert.equal((await bench.reconcile('- hostname: web.example.org'))[0]?.status, 'changed')
    assert.equal(bench.text('/etc/hostname'), 'web.example.org\n')
    assert.equal(bench.text('/etc/hosts'), '127.0.0.1 localhost\n127.0.1.1\tweb.example.org web\n')
    assert.equal((await bench.reconcile('- hostname: web.example.org'))[0]?.status, 'held')
  })

  it('leaves hosts alone elsewhere', async () => {
    const bench = openBench({ files: ROCKY })
    await bench.reconcile('- hostname: web')
    assert.equal(bench.text('/etc/hosts'), undefined)
  })

  it('is in force at once on a running host', async () => {
    const bench = openBench({
      place: 'host',
      files: { ...ROCKY, '/etc/hostname': 'web\n', '/proc/sys/kernel/hostname': 'old\n' },
      answers: [
        {
          to: ['hostname', 'web'],
          give: (_command, files) =>
            files.write('/proc/sys/kernel/hostname', Buffer.from('web\n'), {
              mode: 0o644,
              uid: 0,
              gid: 0,
            }),
        },
      ],
    })
    assert.equal((await bench.reconcile('- hostname: web'))[0]?.status, 'changed')
  })

  it('is a name by the rules of names of hosts', () => {
    for (const bad of ['-web', 'we b', 'web-', 'a..b', 'web_1', 'x'.repeat(65)])
      refused(`- hostname: "${bad}"`)
  })
})

describe('timezone', () => {
  const files = {
    '/usr/share/zoneinfo/Europe/Berlin': 'TZif',
    '/usr/share/zoneinfo/Etc/UTC': 'TZif',
  }

  it('is a link, and a name beside it on Debian, once', async () => {
    const bench = openBench({ files: { ...files, '/etc/timezone': 'Etc/UTC\n' } })
    bench.files.link('/etc/localtime', '/usr/share/zoneinfo/Etc/UTC')
    assert.equal((await bench.test('- timezone: Etc/UTC'))[0]?.status, 'held')
    assert.equal((await bench.reconcile('- timezone: Europe/Berlin'))[0]?.status, 'changed')
    assert.equal(bench.files.stat('/etc/localtime')?.target, '/usr/share/zoneinfo/Europe/Berlin')
    assert.equal(bench.text('/etc/timezone'), 'Europe/Berlin\n')
    assert.equal((await bench.reconcile('- timezone: Europe/Berlin'))[0]?.status, 'held')
  })

  it('needs no second file elsewhere', async () => {
    const bench = openBench({ files: { ...files, ...ROCKY } })
    assert.equal((await bench.reconcile('- timezone: Europe/Berlin'))[0]?.status, 'changed')
    assert.equal(bench.text('/etc/timezone'), undefined)
  })

  it('that the guest does not know is not set', async () => {
    const bench = openBench({ files })
    const [verdict] = await bench.reconcile('- timezone: Europe/Berlni')
    assert.match(verdict?.message ?? '', /knows no time zone/)
    assert.deepEqual(bench.changes(), [])
    refused('- timezone: ../../etc/passwd')
    refused('- timezone: /etc/passwd')
  })
})

describe('locale', () => {
  it('is generated where the distribution does that, made the default, and then holds', async () => {
    const bench = openBench({
      files: {
        '/usr/sbin/locale-gen': 'x',
        '/etc/locale.gen': '# de_DE ISO-8859-1\n# de_DE.UTF-8 UTF-8\n# en_US.UTF-8 UTF-8\n',
        '/etc/default/locale': 'LC_ALL=C\nLANG=C.UTF-8\n',
      },
      answers: [
        {
          to: 'locale-gen',
          give: (_command, files) => {
            files.makeDirectory('/usr/lib/locale')
            files.write('/usr/lib/locale/locale-archive', Buffer.from('\x09\0de_DE.utf8\0xy'), {
              mode: 0o644,
              uid: 0,
              gid: 0,
            })
          },
        },
      ],
    })
    assert.equal((await bench.reconcile('- locale: de_DE.UTF-8'))[0]?.status, 'changed')
    assert.equal(
      bench.text('/etc/locale.gen'),
      '# de_DE ISO-8859-1\nde_DE.UTF-8 UTF-8\n# en_US.UTF-8 UTF-8\n',
    )
    assert.equal(bench.text('/etc/default/locale'), 'LC_ALL=C\nLANG=de_DE.UTF-8\n')
    assert.equal((await bench.test('- locale: de_DE.UTF-8'))[0]?.status, 'held')
  })

  it('is in a directory of its own elsewhere; without it, its package is named', async () => {
    const there = { ...ROCKY, '/usr/lib/locale/de_DE.utf8/LC_CTYPE': 'x' }
    const bench = openBench({ files: there })
    assert.equal((await bench.reconcile('- locale: de_DE.UTF-8'))[0]?.status, 'changed')
    assert.equal(bench.text('/etc/locale.conf'), 'LANG=de_DE.UTF-8\n')
    const [verdict] = await openBench({ files: ROCKY }).reconcile('- locale: de_DE.UTF-8')
    assert.match(verdict?.message ?? '', /has no locale/)
  })

  it('C.UTF-8 is always there', async () => {
    const bench = openBench({ files: { '/etc/default/locale': 'LANG="C.UTF-8"\n' } })
    assert.equal((await bench.test('- locale: C.UTF-8'))[0]?.status, 'held')
  })

  it('on a Debian without the package locales is not made', async () => {
    const [verdict] = await openBench().reconcile('- locale: de_DE.UTF-8')
    assert.match(verdict?.message ?? '', /cannot make the locale/)
    refused('- locale: german')
  })
})
