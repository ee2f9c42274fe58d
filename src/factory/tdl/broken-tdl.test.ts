import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseTdl } from './parse-tdl.ts'

/** What a template may be made of: each test puts something else in place of a part. */
const PARTS = {
  name: '<name>web</name>',
  os: '<name>Debian</name><version>12</version><arch>x86_64</arch>',
  install: '<install type="url"><url>http://deb.example.org/debian/</url></install>',
  rest: '',
}

type Parts = Partial<typeof PARTS>

/** A template of two lines; what stands in `rest` begins at the second. */
function template(parts: Parts): string {
  const { name, os, install, rest } = { ...PARTS, ...parts }
  return `<template version="1.0">${name}<os>${os}${install}</os>\n${rest}</template>`
}

/** All that is wrong, as `line:column: message`. */
function faultsOf(text: string, options: { requireRootPassword?: boolean } = {}): string[] {
  return parseTdl(text, { file: 'a.tdl', ...options }).faults.map(
    ({ severity, place, message }) =>
      `${place.line}:${place.column}: ${severity === 'warning' ? 'warning: ' : ''}${message}`,
  )
}

/** What is broken, and what is said of it. */
const BROKEN: readonly (readonly [rule: string, parts: Parts, fault: RegExp])[] = [
  ['a name', { name: '' }, /^1:1: <template> lacks its element <name>$/],
  [
    'a name with something in it',
    { name: '<name> </name>' },
    /^1:25: <name>: wanted a text, found nothing$/,
  ],
  [
    'one name',
    { rest: '<name>b</name>' },
    /^2:1: <template> has one <name> at most; <name> stands on line 1$/,
  ],
  [
    'known elements',
    { rest: '<package/>' },
    /^2:1: <package> cannot stand in <template>; did you mean 'packages'\?$/,
  ],
  ['no namespaces', { rest: '<x:disk xmlns:x="urn:x"/>' }, /^2:1: <x:disk> .* no namespace$/],
  [
    'known attributes',
    { rest: '<packages>\n <package name="a" nam="b"/></packages>' },
    /^3:20: <package> has no attribute 'nam'; did you mean 'name'\?$/,
  ],
  [
    'no text between elements',
    { rest: 'hello' },
    /^1:\d+: <template> holds no text, found "hello"$/,
  ],
  [
    'texts without elements',
    { name: '<name><b/></name>' },
    /^1:31: <name> holds a text, found <b>$/,
  ],
  [
    'a system',
    { os: '<name>Debian</name><arch>x86_64</arch>' },
    /^1:\d+: <os> lacks its element <version>$/,
  ],
  [
    'a processor that there is',
    { os: '<name>a</name><version>1</version><arch>x86_46</arch>' },
    /<arch>: wanted i386, .* or s390x, found "x86_46"; did you mean 'x86_64'\?$/,
  ],
  ['an installation', { install: '' }, /<os> lacks its element <install>$/],
  [
    'a type of installation',
    { install: '<install><url>http://a/</url></install>' },
    /<install> lacks its attribute 'type'$/,
  ],
  [
    'a known type of installation',
    { install: '<install type="cd"/>' },
    /'type' of <install>: wanted url or iso, found "cd"/,
  ],
  [
    'what its type needs',
    { install: '<install type="iso"><iso>http://a/</iso><url>http://a/</url></install>' },
    /<url> cannot stand in <install>/,
  ],
  [
    'one checksum',
    {
      install:
        '<install type="iso"><iso>http://a/b</iso><md5sum>http://a/c</md5sum><sha1sum>http://a/d</sha1sum></install>',
    },
    /one <sha1sum> at most; <md5sum> stands on line 1$/,
  ],
  [
    'extras that are some',
    { install: '<install type="iso"><iso>http://a/b</iso><extras/></install>' },
    /<extras> is empty; wanted file or directory$/,
  ],
  [
    'directories of this host',
    {
      install:
        '<install type="iso"><iso>http://a/b</iso><extras><directory source="http://a/" destination="/b"/></extras></install>',
    },
    /a directory cannot be had over the web/,
  ],
  [
    'an address',
    { install: '<install type="url"><url>deb.example.org</url></install>' },
    /<url>: wanted an address such as https:/,
  ],
  [
    'an address that the guest can reach',
    { install: '<install type="url"><url>http://LOCALHOST/a</url></install>' },
    /installer in the guest can reach, found "localhost"$/,
  ],
  [
    'a size',
    { rest: '<disk><size>10X</size></disk>' },
    /^2:7: <size>: wanted a number of GiB, .*found "10X"$/,
  ],
  [
    'a size in known units',
    { rest: '<disk><size>10M</size></disk>' },
    /<size>: wanted a number of GiB/,
  ],
  [
    'a size that is some',
    { rest: '<disk><size>0</size></disk>' },
    /<size>: wanted a disk with some room/,
  ],
  ['a size that can be', { rest: '<disk><size>1YB</size></disk>' }, /<size>: wanted at most 8 EiB/],
  ['a disk with a size', { rest: '<disk/>' }, /<disk> lacks its element <size>$/],
  [
    'a repository with an address',
    { rest: '<repositories><repository name="a"><signed>no</signed></repository></repositories>' },
    /<repository> lacks its element <url>$/,
  ],
  [
    'a repository that is somewhere',
    { rest: '<repositories><repository name="a"><url>here</url></repository></repositories>' },
    /<url>: wanted an address .*a line such as `deb/,
  ],
  [
    'a repository that the guest can reach',
    {
      rest: '<repositories><repository name="a"><url>deb http://127.0.0.1/a b main</url></repository></repositories>',
    },
    /programs in the guest can reach, found "127.0.0.1"$/,
  ],
  [
    'yes or no',
    {
      rest: '<repositories><repository name="a"><url>http://b/</url><signed>perhaps</signed></repository></repositories>',
    },
    /<signed>: wanted yes, no, true or false, found "perhaps"$/,
  ],
  [
    'a package of one word',
    { rest: '<packages><package name="a b"/></packages>' },
    /'name' of <package>: wanted the name of a package, one word/,
  ],
  [
    'a package that is no option',
    { rest: '<packages><package name="--force"/></packages>' },
    /one word, found "--force"$/,
  ],
  [
    'a file with a name',
    { rest: '<files><file>a</file></files>' },
    /<file> lacks its attribute 'name'$/,
  ],
  [
    'a file that is one',
    { rest: '<files><file name="/etc/">a</file></files>' },
    /wanted the path of a file/,
  ],
  [
    'a plain path',
    { rest: '<files><file name="/a/../etc/passwd">a</file></files>' },
    /without '\.' and '\.\.'/,
  ],
  [
    'a known type of content',
    { rest: '<files><file name="/a" type="hex">00</file></files>' },
    /'type' of <file>: wanted raw, base64 or url/,
  ],
  [
    'base64 that is some',
    { rest: '<files><file name="/a" type="base64">A===</file></files>' },
    /<file>: wanted a text in base64/,
  ],
  [
    'an address of content',
    { rest: '<files><file name="/a" type="url">ftp://a/b</file></files>' },
    /<file>: wanted an address such as https/,
  ],
  [
    'content that is there',
    { rest: '<files><file name="/a" type="url">file:///b</file></files>' },
    /<file> '\/a' cannot have what is at file:\/\/\/b: no files were given/,
  ],
  [
    'commands that do something',
    { rest: '<commands><command name="a"> </command></commands>' },
    /<command>: wanted a text, found nothing$/,
  ],
  [
    'coded commands that do something',
    { rest: '<commands><command name="a" type="base64"/></commands>' },
    /<command>: wanted a text, found nothing$/,
  ],
  [
    'positions for all or none',
    {
      rest: '<commands><command name="a" position="1">x</command><command name="b">y</command></commands>',
    },
    /^2:53: the command 'b' has no position/,
  ],
  [
    'positions of their own',
    {
      rest: '<commands><command name="a" position="1">x</command><command name="b" position="1">y</command></commands>',
    },
    /position 1 is taken by 'a' on line 2$/,
  ],
  [
    'positions without gaps',
    { rest: '<precommands><command name="a" position="2">x</command></precommands>' },
    /position 2 leaves a gap; wanted 1 to 1/,
  ],
  [
    'positions that are numbers',
    { rest: '<commands><command name="a" position="0">x</command></commands>' },
    /'position' of <command>: wanted a number from 1/,
  ],
]

describe('a template is refused without', () => {
  for (const [rule, parts, fault] of BROKEN)
    it(rule, () => {
      const faults = faultsOf(template(parts))
      assert.equal(faults.length, 1, faults.join('\n'))
      assert.match(faults[0] ?? '', fault)
      assert.match(faults[0] ?? '', /^\d+:\d+: /)
    })

  it('version 1.0, if it names one', () => {
    const text = template({}).replace('1.0', '2.0')
    assert.deepEqual(faultsOf(text), [
      `1:11: 'version' of <template>: wanted 1.0, found "2.0"; did you mean '1.0'?`,
    ])
    assert.deepEqual(faultsOf(text.replace(' version="2.0"', '')), [])
  })

  it('the password of root, where that is wanted', () => {
    const options = { requireRootPassword: true }
    assert.match(
      faultsOf(template({}), options).join('\n'),
      /<os> lacks its element <rootpw>, which is required/,
    )
    const os = `${PARTS.os}<rootpw>x</rootpw>`
    assert.deepEqual(faultsOf(template({ os }), options), [])
  })

  it('<template> as its outermost element', () => {
    assert.deepEqual(faultsOf('<tdl/>'), ['1:1: wanted <template>, found <tdl>'])
  })
})

describe('all that is wrong', () => {
  it('is said at once, in the order in which it stands', () => {
    const text =
      '<template>\n <os>\n  <arch>z80</arch>\n </os>\n <disk><size>big</size></disk>\n <services/>\n</template>'
    assert.deepEqual(
      faultsOf(text).map((fault) => fault.split(' ', 2).join(' ')),
      [
        '1:1: <template>',
        '2:2: <os>',
        '2:2: <os>',
        '2:2: <os>',
        '3:3: <arch>:',
        '5:8: <size>:',
        '6:2: <services>',
      ],
    )
  })

  it('is not said a thousand times', () => {
    const faults = faultsOf(template({ rest: '<x/>'.repeat(1000) }))
    assert.equal(faults.length, 101)
    assert.match(faults.at(-1) ?? '', /and 900 more$/)
  })
})
