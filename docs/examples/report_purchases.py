"""Reports purchases to the intake, signed. Needs only the standard library.

    CASHBACK_SECRET=… python report_purchases.py http://127.0.0.1:8930 shop order-1001 599287828863678298 1999

If anything fails, run the same command again: an order counts once.
"""

import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.request


def report(address: str, key: str, secret: str, purchases: list[dict[str, object]]) -> list[dict[str, object]]:
    """Report purchases and return the result of each. Raises urllib.error.HTTPError; its body describes the problem."""
    body = json.dumps({"purchases": purchases}).encode()
    timestamp = str(int(time.time()))
    signature = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(  # noqa: S310 -- the shop chooses the address
        f"{address}/api/v1/purchases",
        data=body,
        headers={
            "Content-Type": "application/json",
            "Cashback-Key": key,
            "Cashback-Timestamp": timestamp,
            "Cashback-Signature": f"v1={signature}",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 -- see above
        results: list[dict[str, object]] = json.load(answer)["results"]
        return results


def main() -> int:
    """Report the one purchase that the command line names."""
    address, key, order_id, buyer_id, amount_cents = sys.argv[1:]
    purchase = {"order_id": order_id, "buyer_id": buyer_id, "amount_cents": int(amount_cents)}
    try:
        [result] = report(address, key, os.environ["CASHBACK_SECRET"], [purchase])
    except urllib.error.HTTPError as error:
        sys.stderr.write(f"{error.code}: {json.load(error)['detail']}\n")
        return 1
    sys.stdout.write(f"{result['order_id']}: {result['outcome']}, {result['earned_cents']} cents\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
