/** Random access to bytes that need not be in memory: a file, a Blob, or an array. */
export interface ByteSource {
  /** What errors call it. */
  name: string;
  size: number;
  /** Exactly `length` bytes from `offset`; rejects where they are not there. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close?(): Promise<void>;
}

/** A byte source over bytes in memory. */
export function bytesSource(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read: async (offset, length) => {
      if (offset < 0 || offset + length > bytes.byteLength)
        throw new Error(`${name}: ends before byte ${offset + length}; is the file truncated?`);
      return bytes.subarray(offset, offset + length);
    },
  };
}
