// The daemon's API: one way to ask, with the key that the tab keeps, and the live stream.

const keyName = "sluice.key";

export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly hint = "") {
    super(message);
  }
}

/** The tab's alone, and gone with it. */
export const key = {
  get: (): string => sessionStorage.getItem(keyName) ?? "",
  set: (text: string): void => sessionStorage.setItem(keyName, text),
};

function fields(): Record<string, string> {
  return key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
}

async function refusal(answer: Response): Promise<ApiError> {
  const body: unknown = await answer.json().catch(() => null);
  const first = (body as { errors?: { code: string; message: string; hint?: string }[] } | null)?.errors?.[0];
  return new ApiError(answer.status, first?.code ?? "http", first?.message ?? `the daemon answered ${answer.status}`, first?.hint);
}

/** A JSON answer. Throws an ApiError for a refusal; status 0: there was no answer. */
export async function ask<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method, cache: "no-store",
      headers: body === undefined ? fields() : { ...fields(), "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, "unreachable", "the daemon does not answer");
  }
  if (!answer.ok) throw await refusal(answer);
  return await answer.json() as T;
}

export interface StreamHandlers {
  message(name: string, data: string): void;
  /** It ended or never began; null: in order. */
  ended(why: ApiError | null): void;
}

/** Server-sent events by fetch, because EventSource cannot send a key. Returns what ends it. */
export function openStream(path: string, handlers: StreamHandlers): () => void {
  const abort = new AbortController();
  const run = async (): Promise<ApiError | null> => {
    const answer = await fetch(path, { headers: fields(), cache: "no-store", signal: abort.signal });
    if (!answer.ok || !answer.body) return refusal(answer);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return null;
      rest += value;
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        const lines = rest.slice(0, end).split("\n");
        const of = (name: string): string => lines.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length).trim()).join("\n");
        rest = rest.slice(end + 2);
        if (of("data:")) handlers.message(of("event:"), of("data:"));
      }
    }
  };
  run().then((why) => { if (!abort.signal.aborted) handlers.ended(why); },
             () => { if (!abort.signal.aborted) handlers.ended(new ApiError(0, "unreachable", "the daemon does not answer")); });
  return () => abort.abort();
}
