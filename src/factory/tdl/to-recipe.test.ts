import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runText, type TextRun } from '../../testing/recipe-text.ts'
import { openWebServer } from '../../testing/web-server.ts'
import { parseTdl } from './parse-tdl.ts'
import { toRecipeText } from './to-recipe.ts'

const INSTALL = '<install type="url"><url>http://a/</url></install>'

function recipeOf(rest: string, os = '<name>Debian</name><version>12</version>'): string {
  const text = `<template><name>web</name><os>${os}<arch>x86_64</arch>${INSTALL}</os>${rest}</template>`
  const { tdl, faults } = parseTdl(text, { file: 'a.tdl' })
  assert.ok(tdl, JSON.stringify(faults))
  return toRecipeText(tdl)
}

const FEDORA = '<name>Fedora</name><version>42</version>'
const OS_RELEASE = { '/etc/os-release': 'ID=fedora\nVERSION_ID=42\n' }

/** What the steps wrote and ran, in order, in short. */
function doings({ calls }: TextRun): string[] {
  return calls.flatMap((call) => {
    if (call.kind === 'write' || call.kind === 'remove')
      return call.path.startsWith('/run/') ? [] : `${call.kind} ${'path' in call ? call.path : ''}`
    if (call.kind !== 'run') return []
    const input = call.command.input === undefined ? '' : Buffer.from(call.command.input).toString()
    return input === '' ? [] : `run ${input}`
  })
}

const packages = (...names: string[]) =>
  `<packages>${names.map((name) => `<package name="${name}"/>`).join('')}</packages>`

describe('a template, as a recipe,', () => {
  it('is done in the order of Oz', async () => {
    const run = await runText(
      recipeOf(`
        <commands><command name="c">last</command></commands>
        <files><file name="/etc/f">x</file></files>
        <precommands><command name="p">first</command></precommands>
        <repositories>
          <repository name="kept"><url>deb http://b/ bookworm main</url></repository>
          <repository name="used only"><url>deb [trusted=yes] http://c/ ./</url><persisted>no</persisted></repository>
        </repositories>`),
    )
    assert.ok(run.report.ok, JSON.stringify(run.report.verdicts))
    assert.deepEqual(doings(run), [
      'write /etc/apt/sources.list.d/kept.list',
      'write /etc/apt/sources.list.d/used_only.list',
      'run first',
      'write /etc/f',
      'run last',
      'remove /etc/apt/sources.list.d/used_only.list',
    ])
    assert.equal(textOf(run, '/etc/apt/sources.list.d/kept.list'), 'deb http://b/ bookworm main\n')
  })

  it('leaves precommands out when nothing follows them', () => {
    const before = '<precommands><command name="p">first</command></precommands>'
    assert.doesNotMatch(recipeOf(before), /first/)
    assert.match(recipeOf(`${before}<packages><package name="a"/></packages>`), /first/)
  })

  it('fails with the first command that fails, and does not go on', async () => {
    const recipe = recipeOf(
      '<commands><command name="one">exit 7</command><command name="two">true</command></commands>',
    )
    const { report } = await runText(recipe, { answers: [{ to: /sh/, give: { code: 7 } }] })
    assert.equal(report.ok, false)
    assert.deepEqual(
      report.verdicts.map(({ title, status }) => [title, status]),
      [
        ['script one', 'failed'],
        ['script two', 'skipped'],
      ],
    )
  })

  it('names repositories of rpm by what they are called, and says how far they are trusted', async () => {
    const run = await runText(
      recipeOf(
        `<repositories>
          <repository name="my repo"><url>https://b/$basearch</url></repository>
          <repository name="my+repo"><url>http://c/</url><signed>yes</signed></repository>
          <repository name="safe"><url>https://d/</url><signed>true</signed><sslverify>yes</sslverify></repository>
        </repositories>`,
        FEDORA,
      ),
      { files: OS_RELEASE },
    )
    assert.ok(run.report.ok, JSON.stringify(run.report.verdicts))
    assert.equal(
      textOf(run, '/etc/yum.repos.d/my_repo.repo'),
      '[my_repo]\nname=my repo\nbaseurl=https://b/$basearch\nenabled=1\nsslverify=0\ngpgcheck=0\n',
    )
    assert.equal(
      textOf(run, '/etc/yum.repos.d/my_repo-2.repo'),
      '[my_repo-2]\nname=my+repo\nbaseurl=http://c/\nenabled=1\ngpgcheck=1\n',
    )
    assert.equal(
      textOf(run, '/etc/yum.repos.d/safe.repo'),
      '[safe]\nname=safe\nbaseurl=https://d/\nenabled=1\ngpgcheck=1\n',
    )
  })

  it('installs by name what has one, and leaves the rest to the package manager', () => {
    assert.match(
      recipeOf(packages('nginx', 'curl=7.88*', 'bash/bookworm-backports')),
      /package:\n {6}- nginx\n {6}- curl:\n {10}version: 7.88\*\n {2}- script:\n.*\n.*apt-get -q -y install -- 'bash\/bookworm-backports'/,
    )
    assert.match(recipeOf(packages('@core', "it's"), FEDORA), /-y install '@core' 'it'\\\\''s'/)
    assert.match(
      recipeOf(packages('pattern:x', '*y'), '<name>OpenSUSE</name><version>15</version>'),
      /zypper .* install -- '\*y'/,
    )
  })

  it('has files and commands of the web fetched when it runs, by this host', async () => {
    const pages = { '/f?{{x}}': Buffer.from([0, 255]), '/c': 'echo fetched' }
    await using server = await openWebServer(pages)
    const run = await runText(
      recipeOf(`
        <files><file name="/f" type="url">${server.url}/f?{{x}}</file></files>
        <commands><command name="c" type="url">${server.url}/c</command></commands>`),
    )
    assert.ok(run.report.ok, JSON.stringify(run.report.verdicts))
    assert.deepEqual(doings(run), ['write /f', 'run echo fetched'])
    assert.deepEqual(Buffer.from(run.files.read('/f') ?? []), Buffer.from([0, 255]))
  })
})

function textOf({ files }: TextRun, path: string): string {
  return Buffer.from(files.read(path) ?? []).toString()
}
