"""Greets, and signs what it says."""

from flask import Flask, jsonify
from itsdangerous import URLSafeSerializer

app = Flask(__name__)
signer = URLSafeSerializer("not a secret: an example")


@app.get("/health")
def health():
    return jsonify(status="ok")


@app.get("/hello/<name>")
def hello(name):
    return jsonify(greeting=f"Hello, {name}", signature=signer.dumps(name))


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=8080)
