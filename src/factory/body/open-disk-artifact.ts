import { viewFormatOf } from '../../formats/views.ts'
import type { Artifact, PushedDisk } from '../cloud-target.ts'
import { streamFormatted } from '../stream-formatted.ts'

/**
 * A disk in a format, as one file to be had from its first byte to its last. `name` is the file's, without the ending.
 * Fails as `PushedDisk.open` does.
 */
export async function openDiskArtifact(
  disk: PushedDisk,
  format: string,
  name: string,
): Promise<Artifact> {
  const content = await disk.open(format)
  const { mediaType, size } = content
  const fileName = `${name}.${viewFormatOf(format).endings[0] ?? format}`
  return { fileName, mediaType, format, size, stream: (signal) => streamFormatted(content, signal) }
}
