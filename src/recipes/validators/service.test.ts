import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { type BenchOptions, openBench, parseSteps } from '../../testing/recipe-bench.ts'

const LIB = '/usr/lib/systemd/system'
const ETC = '/etc/systemd/system'
const FILES = {
  '/usr/bin/systemctl': 'x',
  [`${LIB}/nginx.service`]: '[Install]\nWantedBy=multi-user.target\n',
  [`${LIB}/static.service`]: '[Service]\n',
}
const WANTS = `${ETC}/multi-user.target.wants`

/** A guest whose systemctl does to the links what it should. */
function systemd(script: BenchOptions = {}) {
  return openBench({
    files: FILES,
    answers: [
      {
        to: /^systemctl.* (enable|disable|mask|unmask) -- nginx.service$/,
        give: ({ argv }, files) => {
          files.makeDirectory(WANTS)
          const verb = argv.at(-3)
          if (verb === 'enable') files.link(`${WANTS}/nginx.service`, `${LIB}/nginx.service`)
          if (verb === 'disable') files.remove(`${WANTS}/nginx.service`)
          if (verb === 'mask') files.link(`${ETC}/nginx.service`, '/dev/null')
          if (verb === 'unmask') files.remove(`${ETC}/nginx.service`)
        },
      },
    ],
    ...script,
  })
}

const show = (active: string, more = '') => ({
  to: /^systemctl show/,
  give: { stdout: `ActiveState=${active}\nSubState=dead\nType=simple\nResult=success\n${more}` },
})

describe('service, in an image', () => {
  it('is read from files, and a check changes nothing', async () => {
    const bench = openBench({ files: FILES })
    const verdicts = await bench.test(`
- service: nginx
- service: {name: nginx, enabled: false}
- service: {name: nginx, masked: true}
- service: {name: nginx, masked: false}
- service: {name: nginx, running: true}
- service: none`)
    assert.deepEqual(
      verdicts.map(({ status }) => status),
      ['differs', 'held', 'differs', 'held', 'differs', 'differs'],
    )
    assert.equal(verdicts[5]?.differences[0]?.found, 'missing')
    assert.deepEqual(bench.changes(), [])
  })

  it('is enabled, disabled, masked and unmasked on files alone, each once', async () => {
    const bench = systemd()
    for (const steps of [
      '- service: nginx',
      '- service: {name: nginx, masked: true}',
      '- service: {name: nginx, masked: false}',
      '- service: {name: nginx, enabled: false}',
    ]) {
      assert.equal((await bench.reconcile(steps))[0]?.status, 'changed', steps)
      assert.equal((await bench.reconcile(steps))[0]?.status, 'held', steps)
    }
    assert.deepEqual(bench.commands(), [
      'systemctl --root=/ enable -- nginx.service',
      'systemctl --root=/ mask -- nginx.service',
      'systemctl --root=/ unmask -- nginx.service',
      'systemctl --root=/ disable -- nginx.service',
    ])
  })

  it('cannot be enabled when nothing could want it, or when it is not there', async () => {
    const [none] = await systemd().reconcile('- service: none')
    assert.match(none?.message ?? '', /no service none\.service/)
    const [still] = await systemd().reconcile('- service: static')
    assert.match(still?.message ?? '', /no \[Install\] section/)
  })

  it('of old is switched by the distribution’s own tool', async () => {
    const files = { '/etc/init.d/old': '#!/bin/sh' }
    const debian = openBench({ files, otherwise: {} })
    await debian.reconcile('- service: old')
    assert.deepEqual(debian.commands(), ['update-rc.d old enable'])
    const redhat = openBench({
      files: { ...files, '/etc/os-release': 'ID=centos\n' },
      otherwise: {},
    })
    await redhat.reconcile('- service: old')
    assert.deepEqual(redhat.commands(), ['chkconfig old on'])
  })

  it('has a name that reaches no shell and is no option', async () => {
    const bench = systemd({ values: { name: '-x; rm' } })
    const [verdict] = await bench.reconcile('- service: "{{ name }}"')
    assert.equal(verdict?.status, 'failed')
    assert.deepEqual(bench.commands(), [])
    assert.throws(() => parseSteps('- service: "--now"'), failsWith('RECIPE_INVALID'))
    assert.throws(
      () => parseSteps('- service: {name: a, masked: true, running: true}'),
      failsWith('RECIPE_INVALID'),
    )
  })
})

/** With nginx started at boot. */
function enable(bench: ReturnType<typeof systemd>): ReturnType<typeof systemd> {
  bench.files.makeDirectory(WANTS)
  bench.files.link(`${WANTS}/nginx.service`, `${LIB}/nginx.service`)
  return bench
}

/** Orders to systemd, without questions. */
function ordersOf(bench: ReturnType<typeof systemd>): string[] {
  return bench.commands().filter((text) => /^systemctl (?!show)/.test(text))
}

describe('service, on a running host', () => {
  const enabled = { place: 'host' as const }
  it('runs if it is enabled, and is started if it does not', async () => {
    const bench = enable(
      systemd({
        ...enabled,
        answers: [
          { ...show('inactive', 'NeedDaemonReload=yes\n'), times: 2 },
          show('active'),
          { to: 'systemctl' },
        ],
      }),
    )
    const [verdict] = await bench.reconcile('- service: nginx')
    assert.equal(verdict?.status, 'changed')
    assert.equal(verdict?.differences[0]?.found, 'inactive (dead)')
    assert.deepEqual(ordersOf(bench), [
      'systemctl daemon-reload',
      'systemctl start -- nginx.service',
    ])
  })

  it('counts as running when it did its work once and ended well', async () => {
    const done = 'Type=oneshot\nExecMainStartTimestampMonotonic=5\n'
    const bench = enable(systemd({ ...enabled, answers: [show('inactive', done)] }))
    assert.equal((await bench.test('- service: nginx'))[0]?.status, 'held')
  })

  it('is stopped when that is asked for, and left alone when nothing is said', async () => {
    const bench = enable(
      systemd({
        ...enabled,
        answers: [{ ...show('active'), times: 2 }, show('inactive'), { to: 'systemctl' }],
      }),
    )
    assert.equal(
      (await bench.reconcile('- service: {name: nginx, running: false}'))[0]?.status,
      'changed',
    )
    assert.ok(bench.commands().includes('systemctl stop -- nginx.service'))
    const other = systemd({ ...enabled, answers: [] })
    assert.equal((await other.test('- service: {name: nginx, enabled: false}'))[0]?.status, 'held')
    assert.deepEqual(ordersOf(other), [])
  })
})
